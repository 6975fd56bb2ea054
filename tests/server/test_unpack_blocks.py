"""Payloads of several xz blocks: unpacked by threads, whole or while they come, or refused."""

from __future__ import annotations

import gc
import lzma
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.unpack import extract
from kernsym.server.unpack.archive import open_archive
from kernsym.server.unpack.codecs.blocks import find_blocks, unpacked_in_order
from kernsym.server.unpack.packed import Payload
from tests.deb_writer import ar, tar
from tests.elf_writer import vmlinux
from tests.rpm_writer import COMPRESSIONS, rpm
from tests.server.unpacking import EXT4, LAYOUT, MEMBERS, MODULES, VMLINUX, Bytes, unpack, written
from tests.xz_writer import xz

TAR = tar(MEMBERS)
SIZE = 1 << 13


def payload(packed: bytes) -> Payload:
    return Payload(offset=0, size=len(packed), format="tar", filter="xz")


def content(packed: bytes) -> bytes | None:
    """What the blocks of a stream unpack to; None when they cannot be unpacked each alone."""
    found = find_blocks(Bytes(packed), payload(packed))
    if found is None:
        return None
    with unpacked_in_order(Bytes(packed), found) as pieces:
        return b"".join(pieces)


def package(packed: bytes) -> bytes:
    return ar([("debian-binary", b"2.0\n"), ("data.tar.xz", packed)])


@pytest.mark.parametrize("tell_sizes", [True, False])
@pytest.mark.parametrize("size", [1, 511, SIZE, len(TAR)])
def test_blocks_come_out_in_order(size: int, tell_sizes: bool) -> None:
    data = TAR if size >= SIZE else TAR[: 20 * size]
    packed = xz(data, block_size=size, tell_sizes=tell_sizes)
    assert lzma.decompress(packed) == data, "the test's own stream must be a good one"
    assert content(packed) == data


@pytest.mark.parametrize("options", [("-T2",), ("-T1",), ("-T2", "-9e"), ("-T2", "--check=sha256")])
def test_reads_what_xz_packs(tmp_path: Path, options: tuple[str, ...]) -> None:
    if shutil.which("xz") is None:
        pytest.fail("this test needs xz (apt-get install xz-utils)")
    command = ["xz", "--block-size=65536", *options, "-c"]
    packed = subprocess.run(command, input=TAR, capture_output=True, check=True).stdout
    assert content(packed) == TAR
    _, files = unpack(package(packed), tmp_path, "ext4")
    assert set(files) == written(tmp_path)
    assert (tmp_path / VMLINUX).read_bytes() == vmlinux()
    assert (tmp_path / MODULES / "fs/ext4/ext4.ko").read_bytes() == EXT4


def test_rpms_are_read_by_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [member for member in MEMBERS if isinstance(member, tuple)]
    monkeypatch.setitem(COMPRESSIONS, "xz", xz)
    _, found = unpack(rpm(files, "xz"), tmp_path, "ext4")
    assert (tmp_path / MODULES / "fs/ext4/ext4.ko").read_bytes() == EXT4
    assert set(found) == written(tmp_path)


def test_streams_that_follow_each_other_are_one_payload() -> None:
    half = len(TAR) // 2
    packed = xz(TAR[:half]) + bytes(8) + xz(TAR[half:]) + bytes(4)
    assert content(packed) == TAR
    untold = xz(TAR[:half], tell_sizes=False) + xz(TAR[half:], tell_sizes=False)
    assert content(untold) is None, "they are read as one stream"


def test_what_cannot_be_split_is_read_in_one_go(tmp_path: Path) -> None:
    large = [{"id": lzma.FILTER_LZMA2, "dict_size": 96 << 20}]
    packed = lzma.compress(TAR, filters=large)
    assert content(packed) is None
    _, files = unpack(package(packed), tmp_path, "ext4")
    assert set(files) == written(tmp_path)


def test_blocks_are_unpacked_while_the_package_comes(tmp_path: Path) -> None:
    """vmlinux is out before the rest has come."""
    whole, path = package(xz(TAR, block_size=4096)), tmp_path / "package.part"
    first = 3 * len(whole) // 4
    path.write_bytes(whole[:first])
    growing = GrowingFile()
    growing.begin(path)
    growing.grown(first)
    vmlinux_is_out = threading.Event()

    def come() -> None:
        if vmlinux_is_out.wait(10):
            with path.open("ab") as part:
                part.write(whole[first:])
            growing.grown(len(whole))
            growing.finish()
        else:
            growing.fail(AssertionError("vmlinux did not come out before the rest was there"))

    writer = threading.Thread(target=come)
    writer.start()
    into = tmp_path / "into"
    went = extract(growing, LAYOUT, lambda *asked: True, into, lambda file: vmlinux_is_out.set())
    writer.join()
    growing.close()
    assert went.complete
    assert (into / MODULES / "fs/ext4/ext4.ko").read_bytes() == EXT4


class Watched(Bytes):
    """Knows how far it was read."""

    reach = 0

    def read_at(self, offset: int, size: int) -> bytes:
        data = super().read_at(offset, size)
        self.reach = max(self.reach, offset + len(data))
        return data


def test_memory_stays_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """The decoders wait for a slow reader: no more is read than the room allows."""
    monkeypatch.setattr("kernsym.server.unpack.codecs.ahead._MEMORY_OF_PIECES", 3 * SIZE)
    data = os.urandom(40 * SIZE)  # cannot be packed, so that bytes read and unpacked are alike
    source = Watched(xz(data, block_size=SIZE))
    found = find_blocks(source, payload(source.content))
    assert found is not None
    taken = 0
    with unpacked_in_order(source, found) as pieces:
        for piece in pieces:
            taken += len(piece)
            ahead = source.reach - taken
            # What waits, what each decoder holds in its hand and has read, and the index.
            assert ahead <= (3 + 2 * found.threads + 1) * (SIZE + 200) or taken == len(data)
    assert taken == len(data)


def test_a_reader_that_leaves_ends_the_decoders() -> None:
    source = Bytes(xz(os.urandom(40 * SIZE), block_size=SIZE))
    found = find_blocks(source, payload(source.content))
    assert found is not None
    before = threading.active_count()
    with unpacked_in_order(source, found) as pieces:
        assert len(next(pieces)) == SIZE
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_what_was_read_is_let_go_at_once() -> None:
    """ctypes.cast would keep every piece until the next collection of garbage."""
    pieces = [bytes((number,)) * 512 for number in range(1, 40)]
    before = [sys.getrefcount(piece) for piece in pieces]
    gc.disable()
    try:
        with open_archive(iter(pieces), format_name="raw", filter_name="none") as archive:
            next(archive.entries())
            assert sum(map(len, archive.blocks())) == 512 * len(pieces)
        assert [sys.getrefcount(piece) for piece in pieces] == before
    finally:
        gc.enable()
