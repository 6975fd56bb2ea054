"""Writes tiny ELF files: the sections given, and notes; enough for whoever reads identities."""

from __future__ import annotations

import struct

NOTE = 7
PROGBITS = 1
STRTAB = 3

BUILD_ID = "00112233445566778899aabbccddeeff00112233"
BANNER = (
    "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) "
    "12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 "
    "(2024-02-01)"
)


def note(owner: bytes, kind: int, content: bytes, order: str = "<") -> bytes:
    """One note, padded to four bytes."""
    name = owner + b"\0"
    header = struct.pack(f"{order}III", len(name), len(content), kind)
    return header + _padded(name) + _padded(content)


def elf(sections: list[tuple[str, int, bytes]], order: str = "<") -> bytes:
    """A 64-bit ELF file with sections of (name, type, content); `order` `<` or `>`."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name, _, _ in sections) + b".shstrtab\0"
    body = b""
    rows = [bytes(64)]
    for name, kind, content in [*sections, (".shstrtab", STRTAB, names)]:
        body = body + bytes(-len(body) % 16)
        where = names.index(b"\0" + name.encode() + b"\0") + 1
        fields = (where, kind, 0, 0, 64 + len(body), len(content), 0, 0, 4, 0)
        rows.append(struct.pack(f"{order}IIQQQQIIQQ", *fields))
        body += content
    magic = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    machine = 62 if order == "<" else 22
    head = struct.pack(
        f"{order}HHIQQQIHHHHHH",
        *(2, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64, len(rows), len(rows) - 1),
    )
    return magic + head + body + b"".join(rows)


def vmlinux(banner: str = BANNER, build_id: str | None = BUILD_ID, order: str = "<") -> bytes:
    """What a vmlinux looks like to a reader of identities: format strings beside the banner, and
    other notes before the build ID."""
    rodata = b"".join(
        (
            b"%s version %s (debian-kernel@lists.debian.org) #1 SMP\n\0",
            b"Linux version %s (%s)\n\0",
            banner.encode() + b"\n\0",
            b"Linux version 2.6 or newer is needed\0",
        )
    )
    notes = note(b"Xen", 6, b"linux\0", order) + note(b"Linux", 0x101, bytes(4), order)
    if build_id is not None:
        notes += note(b"GNU", 3, bytes.fromhex(build_id), order)
    return elf([(".rodata", PROGBITS, rodata), (".notes", NOTE, notes)], order)


def module(build_id: str, content: bytes = b"", vermagic: str = "") -> bytes:
    """A kernel module with its build ID, perhaps with the kernel that it is for."""
    notes = note(b"GNU", 3, bytes.fromhex(build_id))
    sections = [(".text", PROGBITS, content), (".note.gnu.build-id", NOTE, notes)]
    if vermagic:
        sections.append((".modinfo", PROGBITS, f"license=GPL\0vermagic={vermagic}\0".encode()))
    return elf(sections)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
