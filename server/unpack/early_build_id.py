"""The build ID of an ELF file of which only the beginning has come."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from kernsym.server.binaries.elf_notes import parse_notes
from kernsym.server.unpack.notes import find_note

_HEAD = 64 << 10  # of a module; its note lies in the first kilobyte
_MOST_SEGMENTS = 64
_NOTE = 4  # p_type
_BUILD_ID = 3  # NT_GNU_BUILD_ID
_MOST_BYTES = 1 << 20  # of a segment of notes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Where the fields are, in files of 32 and of 64 bits; `struct` reads them."""

    table: tuple[str, int]  # e_phoff
    counts_at: int  # e_phentsize and e_phnum
    size: int  # of a segment's header
    place: tuple[str, int]  # p_offset, p_filesz


_SHAPES = {
    1: _Shape(table=("I", 28), counts_at=42, size=32, place=("I8xI", 4)),
    2: _Shape(table=("Q", 32), counts_at=54, size=56, place=("Q16xQ", 8)),
}
_ORDERS = {1: "<", 2: ">"}
_HEADER = 64


def early_build_id(read_at: Callable[[int, int], bytes], there: int) -> str | None:
    """The build ID in hex as the first `there` bytes tell it; None: they do not, or not yet.

    `read_at(offset, size)` reads.  A kernel's program headers say where its notes lie; a module has
    none, and its note among its first sections.  Only the whole file proves it: its section headers
    are the last that comes.
    """
    try:
        header = read_at(0, min(_HEADER, there))
        shape, order = _SHAPES[header[4]], _ORDERS[header[5]]
        (table,) = struct.unpack_from(order + shape.table[0], header, shape.table[1])
        size, count = struct.unpack_from(f"{order}HH", header, shape.counts_at)
        if header[:4] != b"\x7fELF" or (count and size != shape.size):
            return None
        if not count:
            return find_note(read_at(0, min(_HEAD, there)))
        if table + count * size > there or count > _MOST_SEGMENTS:
            return None
        segments = read_at(table, count * size)
        place = struct.Struct(order + shape.place[0])
        for at in range(0, len(segments), size):
            (kind,) = struct.unpack_from(f"{order}I", segments, at)
            offset, length = place.unpack_from(segments, at + shape.place[1])
            if kind != _NOTE or length > _MOST_BYTES or offset + length > there:
                continue
            for owner, number, content in parse_notes(read_at(offset, length), order):
                if owner == b"GNU" and number == _BUILD_ID:
                    return content.hex()
    except (struct.error, IndexError, KeyError):
        pass  # no ELF file, or a damaged one
    return None
