"""zstd payloads as they come, and such as nobody should pack."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import KernsymError, Refused
from kernsym.server.unpack.codecs import zstd
from kernsym.server.unpack.packed import Payload
from tests.rpm_writer import cpio, rpm
from tests.server.unpacking import MODULES, VMLINUX, Bytes, unpack, written

CONTENT = bytes(range(256)) * 3000
MEMBERS = [(f"./{VMLINUX}", CONTENT), (f"./{MODULES}/fs/m1.ko", CONTENT[5:])]
ARCHIVE = cpio(MEMBERS)
ZEROS = zstd.frame_header(0x38) + zstd.zeros_block(1 << 17) * 20_000  # 2.6 GB in 80 kB


def packed(
    *, checksum: bool = True, size: bool = False, data: bytes = ARCHIVE, window: int = 17
) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window, write_content_size=size, write_checksum=checksum
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters)
    if size:
        return packer.compress(data)
    stream = packer.compressobj()
    return stream.compress(data) + stream.flush()


@pytest.mark.parametrize("checksum", [False, True])
@pytest.mark.parametrize("size", [False, True])
@pytest.mark.parametrize("window", [10, 17, 23])
def test_unpacks_every_kind_of_frame(checksum: bool, size: bool, window: int) -> None:
    data = packed(checksum=checksum, size=size, window=window)
    payload = Payload(offset=0, size=len(data), format="cpio", filter="zstd")
    pieces = list(zstd.unpacked(Bytes(data), payload))
    assert b"".join(pieces) == ARCHIVE
    assert max(map(len, pieces)) <= 1 << 20


def test_a_checksum_is_compared(tmp_path: Path) -> None:
    data = bytearray(packed())
    data[-1] ^= 1
    with pytest.raises(Refused) as refused:
        unpack(rpm([], "zstd", pack=lambda archive: bytes(data)), tmp_path, "m1")
    assert refused.value.code == "package-corrupt"


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "package"),
        (b"\x28\xb5\x2f\xfd", "no zstd frame begins"),
        (b"not zstd at all", "no zstd frame begins"),
        (packed()[:-100], "ends before its payload does"),
        (packed()[: len(packed()) // 2], "ends before its payload does"),
        (zstd.frame_header(0x38) + b"\x06\0\0", "no zstd block begins"),  # of the reserved kind
        (zstd.frame_header(0x38) + b"\xff\xff\xff", "no zstd block begins"),  # of 2 MiB
        (zstd.frame_header(0xA8) + zstd.zeros_block(9), "bytes of memory"),  # a window of 2 GiB
    ],
)
def test_what_is_no_zstd_is_refused(tmp_path: Path, payload: bytes, says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        unpack(rpm([], "zstd", pack=lambda archive: payload), tmp_path, "m1")
    assert refused.value.code == "package-corrupt"
    assert not any(path.startswith(".") for path in written(tmp_path))


@pytest.mark.parametrize("where", ["in a member", "behind the archive"])
def test_a_bomb_is_refused_by_what_it_becomes(tmp_path: Path, where: str) -> None:
    if where == "in a member":
        header = cpio([("./usr/lib/debug/vmlinux", b"")])[:110]
        claim = header[:54] + b"%08x" % (2 << 30) + header[62:]
        payload = packed(data=claim) + ZEROS
    else:
        payload = packed() + ZEROS
    with pytest.raises(Refused) as refused:
        unpack(rpm([], "zstd", pack=lambda archive: payload), tmp_path, "m1")
    assert refused.value.code == "package-unsafe"


def test_what_comes_behind_the_archive_counts_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.server.unpack.allowance.MOST_BYTES_OF_ANY_PACKAGE", 1 << 20)
    payload = gzip.compress(ARCHIVE) + gzip.compress(bytes(20 << 20))
    with pytest.raises(Refused) as refused:
        unpack(rpm([], "gzip", pack=lambda archive: payload), tmp_path, "m1")
    assert refused.value.code == "package-unsafe"


@settings(max_examples=60, deadline=None)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(
    tmp_path_factory: pytest.TempPathFactory, where: float, bit: int
) -> None:
    data = bytearray(packed())
    data[int(where * len(data))] ^= 1 << bit
    into = tmp_path_factory.mktemp("into")
    try:
        _, files = unpack(rpm([], "zstd", pack=lambda archive: bytes(data)), into, "m1")
    except KernsymError:
        return
    for path in files:
        assert (into / path).read_bytes() == dict(MEMBERS)[f"./{path}"]
