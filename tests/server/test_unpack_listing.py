"""Build IDs of a package's modules, from a pass that writes nothing."""

from __future__ import annotations

import gzip
import threading

import pytest

from kernsym.distros import Refused
from kernsym.server.unpack import list_modules
from kernsym.server.unpack.notes import find_note
from tests.deb_writer import COMPRESSIONS, Member, deb
from tests.elf_writer import module, note, vmlinux
from tests.server.unpacking import LAYOUT, MODULES, VMLINUX, Bytes
from tests.xz_writer import xz

MEMBERS: list[Member] = [
    (f"./{VMLINUX}", vmlinux()),
    (f"./{MODULES}/fs/ext4/ext4.ko", module("aa" * 20, b"ext4" * 1000) + bytes(1_000_000)),
    (f"./{MODULES}/net/nf-conntrack.ko", module("bb" * 20)),
    ("./usr/share/doc/copyright", b"GPL-2"),
]
LISTED = {"aa" * 20: "ext4", "bb" * 20: "nf_conntrack"}


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_every_module_is_listed(suffix: str) -> None:
    assert list_modules(Bytes(deb(MEMBERS, suffix)), LAYOUT) == LISTED


def test_modules_that_are_packed_once_more_are_too() -> None:
    packed = (f"./{MODULES}/fs/xfs.ko.gz", gzip.compress(module("cc" * 20)))
    assert list_modules(Bytes(deb([*MEMBERS, packed])), LAYOUT) == LISTED | {"cc" * 20: "xfs"}


def test_a_module_without_a_build_id_is_passed_over() -> None:
    plain = (f"./{MODULES}/fs/xfs.ko", b"\x7fELF nothing here")
    assert list_modules(Bytes(deb([*MEMBERS, plain])), LAYOUT) == LISTED


class Watched(Bytes):
    """Notes which threads read it."""

    def __init__(self, content: bytes) -> None:
        super().__init__(content)
        self.threads: set[str] = set()

    def read_at(self, offset: int, size: int) -> bytes:
        self.threads.add(threading.current_thread().name)
        return super().read_at(offset, size)


def test_work_in_the_background_takes_one_decoder() -> None:
    package = Watched(deb(MEMBERS, pack=lambda data: xz(data, block_size=1 << 14)))
    assert list_modules(package, LAYOUT) == LISTED
    assert len(package.threads - {threading.current_thread().name}) == 1


def test_it_can_be_stopped() -> None:
    assert list_modules(Bytes(deb(MEMBERS)), LAYOUT, stop=lambda: True) is None


def test_a_damaged_package_is_refused() -> None:
    content = bytearray(deb(MEMBERS))
    content[-40] ^= 1
    with pytest.raises(Refused):
        list_modules(Bytes(bytes(content)), LAYOUT)


@pytest.mark.parametrize(
    ("head", "found"),
    [
        (note(b"GNU", 3, bytes(range(20))), bytes(range(20)).hex()),
        (note(b"GNU", 3, bytes(range(20)), ">"), bytes(range(20)).hex()),
        (note(b"GNU", 3, bytes(range(16))), bytes(range(16)).hex()),
        (note(b"Linux", 3, bytes(20)) + note(b"GNU", 3, b"\xab" * 20), "ab" * 20),
        (note(b"GNU", 1, bytes(16)), None),
        (b"xx" + note(b"GNU", 3, bytes(20)), None),
        (note(b"GNU", 3, bytes(20))[:-1], None),
        (b"", None),
    ],
    ids=["little", "big", "md5", "second", "other type", "odd place", "cut", "empty"],
)
def test_a_note(head: bytes, found: str | None) -> None:
    assert find_note(head) == found


def test_build_ids_in_vmlinux_are_listed_where_they_are_asked_for() -> None:
    large = (f"./{VMLINUX}", bytes(300_002) + bytes(2) + note(b"GNU", 3, b"\x12" * 20) + bytes(99))
    content = Bytes(deb([large, *MEMBERS[1:]]))
    assert list_modules(content, LAYOUT) == LISTED
    assert list_modules(content, LAYOUT, vmlinux=True) == LISTED | {"12" * 20: ""}
