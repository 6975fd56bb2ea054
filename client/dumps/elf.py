"""ELF64 vmcores: /proc/vmcore, `makedumpfile -E`, QEMU's dump-guest-memory, `virsh dump`."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.mapped import Extent, MappedDump, truncated
from kernsym.client.dumps.notes import Note, parse_notes, vmcoreinfo_text
from kernsym.client.dumps.reader import Headers
from kernsym.distros import Unusable

MAGIC = b"\x7fELF"

_CLASS_64 = 2
_ET_CORE = 4
_PT_LOAD, _PT_NOTE = 1, 4
_NOWHERE = 2**64 - 1  # the physical address of what is mapped, but not memory
_PN_XNUM = 0xFFFF  # too many for e_phnum: the count is in section 0's sh_info
_PROGRAM_HEADER_SIZE = 56
_MOST_PROGRAM_HEADERS = 300_000  # a dump with paging has tens of thousands
_MOST_NOTES = 4 << 20  # bytes in all; a thousand processors' registers are one megabyte

_NT_AUXV, _NT_FILE = 6, 0x46494C45  # only cores of programs have these

_TYPES = {1: "an object file or kernel module", 2: "a program or vmlinux", 3: "a shared object"}
_MACHINES = {  # e_machine and byte order, as `uname -m` spells them
    (8, "<"): "mips64",
    (8, ">"): "mips64",
    (21, "<"): "ppc64le",
    (21, ">"): "ppc64",
    (22, ">"): "s390x",
    (62, "<"): "x86_64",
    (183, "<"): "aarch64",
    (243, "<"): "riscv64",
    (258, "<"): "loongarch64",
}

# Where x86-64 maps the kernel's image: __START_KERNEL_map up to the modules.
_IMAGE = range(0xFFFFFFFF80000000, 0xFFFFFFFFC0000000)


class _Program(NamedTuple):
    """A program header, its fields in the file's order; bytes and addresses."""

    kind: int
    flags: int
    offset: int
    vaddr: int
    paddr: int
    stored: int
    size: int


@dataclass(slots=True)
class _Parts:
    """What the program headers lead to; `covered` is memory of which not all is stored."""

    notes: list[Note] = field(default_factory=list)
    extents: list[Extent] = field(default_factory=list)
    covered: list[tuple[int, int]] = field(default_factory=list)
    phys_base: int | None = None


def read_elf(content: Content, wrapping: str = "") -> MappedDump:
    """The dump in `content`; `wrapping` is appended to the format's name.

    Raises `Unusable` (`dump-foreign`, `dump-damaged`, `dump-truncated`).
    """
    identity = content.read(0, 64)
    order = _byte_order(content, identity)
    kind, machine = struct.unpack_from(order + "HH", identity, 16)
    if kind != _ET_CORE:
        raise _foreign(content, _TYPES.get(kind, f"an ELF file of type {kind}"))
    parts = _parts(content, identity, order)
    _check(content, parts)
    text = vmcoreinfo_text(parts.notes)
    arch = _MACHINES.get((machine, order))
    return MappedDump(
        content,
        path=content.path,
        format="elf" + wrapping,
        headers=Headers(
            arch=arch,
            vmcoreinfo=text,
            vmcoreinfo_from="note" if text is not None else None,
            phys_base=parts.phys_base if arch == "x86_64" else None,
        ),
        extents=parts.extents,
        covered=parts.covered,
    )


def _parts(content: Content, identity: bytes, order: str) -> _Parts:
    parts = _Parts()
    left = _MOST_NOTES
    for program in _programs(content, identity, order):
        if program.kind == _PT_NOTE:
            data = content.read(program.offset, min(program.stored, left))
            left -= len(data)
            parts.notes.extend(parse_notes(data, order))
        elif program.paddr != _NOWHERE:
            if program.stored:
                parts.extents.append(Extent(program.paddr, program.stored, program.offset))
            if program.size > program.stored:
                parts.covered.append((program.paddr, program.size))
            if parts.phys_base is None and program.vaddr in _IMAGE:
                parts.phys_base = program.paddr - (program.vaddr - _IMAGE.start)
    return parts


def _check(content: Content, parts: _Parts) -> None:
    if any(note.name == b"CORE" and note.kind in (_NT_AUXV, _NT_FILE) for note in parts.notes):
        raise _foreign(content, "the core of a program, not of a kernel")
    if not parts.extents and not parts.covered:
        raise Unusable(
            "dump-damaged",
            f"{content.path} is an ELF core without any memory in it",
            hint="the dump was not finished: look at the log of what made it",
        )


def _byte_order(content: Content, identity: bytes) -> str:
    if len(identity) < 64:
        raise truncated(content.path, content.size, 64 - len(identity))
    if identity[4] != _CLASS_64:
        raise _foreign(content, "a 32-bit ELF file")
    if identity[5] not in (1, 2):
        raise Unusable("dump-damaged", f"{content.path}: the ELF header names no byte order")
    return "<" if identity[5] == 1 else ">"


def _programs(content: Content, identity: bytes, order: str) -> Iterator[_Program]:
    """The program headers, found by e_phoff: QEMU puts a section table before them."""
    start, sections = struct.unpack_from(order + "QQ", identity, 32)
    entry, count = struct.unpack_from(order + "HH", identity, 54)
    if count == _PN_XNUM:
        section = content.read(sections, 64)
        if len(section) < 64:
            raise truncated(content.path, content.size, sections + 64 - content.size)
        (count,) = struct.unpack_from(order + "I", section, 44)
    if entry < _PROGRAM_HEADER_SIZE or not 0 < count <= _MOST_PROGRAM_HEADERS:
        raise Unusable(
            "dump-damaged",
            f"{content.path}: the ELF header describes {count} program headers of {entry} bytes",
        )
    if start + entry * count > content.size:
        raise truncated(content.path, content.size, start + entry * count - content.size)
    layout = struct.Struct(order + "IIQQQQQ")
    step = 4096
    for first in range(0, count, step):
        table = content.read(start + first * entry, min(step, count - first) * entry)
        for at in range(0, len(table) - _PROGRAM_HEADER_SIZE + 1, entry):
            program = _Program._make(layout.unpack_from(table, at))
            if program.kind in (_PT_LOAD, _PT_NOTE):
                yield program


def _foreign(content: Content, what: str) -> Unusable:
    return Unusable(
        "dump-foreign",
        f"{content.path} is {what}, expected a dump of a kernel's memory",
        hint="give the dump (vmcore, .vmss, …); symbols are found for it, not given",
    )
