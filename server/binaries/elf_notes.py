"""The notes of an ELF file, read without a library: a kernel has thousands of modules.

Layout: elf(5).  pyelftools takes 0.6 ms to find a module's build ID, this 0.01.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAGIC = b"\x7fELF"
_NOTE = 7  # sh_type
_MOST_SECTIONS = 1 << 17
_MOST_BYTES = 1 << 20  # of a section of notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Where the fields are, in files of 32 and of 64 bits."""

    table_at: int
    counts_at: int
    offset: str  # as `struct` writes it
    section_size: int
    place_at: int  # sh_offset and sh_size in a section's header


_SHAPES = {
    1: _Shape(table_at=32, counts_at=46, offset="I", section_size=40, place_at=16),
    2: _Shape(table_at=40, counts_at=58, offset="Q", section_size=64, place_at=24),
}
_ORDERS = {1: "<", 2: ">"}
_HEADER = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section's header: `name` is an offset into the table of names, `kind` its sh_type."""

    name: int
    kind: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """All section headers in order; `order` of bytes as `struct` writes it, `names`: which of them
    is the table of names."""

    order: str
    sections: tuple[Section, ...]
    names: int


def read_table(file: BinaryIO) -> Table:
    """The section headers.  Of what is no ELF file, or is damaged, it raises what `struct` and
    `file` do."""
    header = file.read(_HEADER)
    if not header.startswith(MAGIC):
        raise ValueError("no ELF header")
    shape, order = _SHAPES[header[4]], _ORDERS[header[5]]
    (start,) = struct.unpack_from(f"{order}{shape.offset}", header, shape.table_at)
    size, count, names = struct.unpack_from(f"{order}HHH", header, shape.counts_at)
    if size != shape.section_size:
        raise ValueError(f"section headers of {size} bytes")
    place = struct.Struct(f"{order}{shape.offset * 2}")
    if start and not count:  # too many for the field: the first section tells
        file.seek(start)
        count = place.unpack_from(file.read(size), shape.place_at)[1]
    file.seek(start)
    table = file.read(size * min(count, _MOST_SECTIONS))
    sections = []
    for at in range(0, len(table), size):
        name, kind = struct.unpack_from(f"{order}II", table, at)
        offset, length = place.unpack_from(table, at + shape.place_at)
        sections.append(Section(name=name, kind=kind, offset=offset, size=length))
    return Table(order=order, sections=tuple(sections), names=names)


def notes(file: BinaryIO) -> Iterator[tuple[bytes, int, bytes]]:
    """Owner, type and content of each note in the file's sections, in order; raises as
    `read_table`."""
    return notes_of(read_table(file), file)


def notes_of(table: Table, file: BinaryIO) -> Iterator[tuple[bytes, int, bytes]]:
    """The same, by the table of a file."""
    for section in table.sections:
        if section.kind == _NOTE:
            file.seek(section.offset)
            yield from parse_notes(file.read(min(section.size, _MOST_BYTES)), table.order)


def parse_notes(section: bytes, order: str) -> Iterator[tuple[bytes, int, bytes]]:
    """The same of one section; `order`: of its bytes, as `struct` writes it."""
    at = 0
    while at < len(section):
        owner_size, size, kind = struct.unpack_from(f"{order}III", section, at)
        owner = at + 12
        content = owner + owner_size + -owner_size % 4
        at = content + size + -size % 4
        yield section[owner:][:owner_size].rstrip(b"\0"), kind, section[content:][:size]
