"""A small kernel package and its layout, for the tests of unpacking."""

from __future__ import annotations

import re
from pathlib import Path

from kernsym.distros import Layout, MemberKind
from kernsym.server.unpack import ExtractedFile, Pass, extract
from tests.deb_writer import Member
from tests.elf_writer import module, vmlinux

LAYOUT = Layout(
    vmlinux=re.compile(r"usr/lib/debug/(boot/|lib/modules/K/)?vmlinux(-K)?"),
    modules=re.compile(r"usr/lib/debug/lib/modules/K/.*/(?P<name>[^/]+\.ko)(\.(xz|zst|gz))?"),
    system_map=re.compile(r"usr/lib/debug/boot/System\.map-K"),
)
VMLINUX = "usr/lib/debug/boot/vmlinux-K"
MODULES = "usr/lib/debug/lib/modules/K/kernel"
EXT4 = module("aa" * 20, b"ext4" * 100_000)
NF_CONNTRACK = module("bb" * 20)
MEMBERS: list[Member] = [
    ("./usr/lib/debug/boot/System.map-K", b"ffffffff81000000 T _text\n"),
    (f"./{VMLINUX}", vmlinux()),
    (f"./{MODULES}/fs/ext4/ext4.ko", EXT4),
    (f"./{MODULES}/net/nf-conntrack.ko", NF_CONNTRACK),
    ("./usr/share/doc/copyright", b"GPL-2"),
]


class Bytes:
    """A package that has come whole."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_at(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]

    def whole(self) -> int | None:
        return len(self.content)


def unpack(package: bytes, into: Path, *names: str) -> tuple[Pass, dict[str, ExtractedFile]]:
    """vmlinux, System.map and the modules named; the files by path."""
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(package),
        LAYOUT,
        lambda kind, name, path: kind is not MemberKind.MODULE or name in names,
        into,
        files.append,
    )
    return went, {file.path: file for file in files}


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
