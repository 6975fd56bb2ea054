"""Where everything lies in a prepared copy of an ELF file; no I/O.  Layout of the fields: elf(5).

Section numbers stay as they are, so that symbols and links need no change: a section that is left
out becomes an inactive header (SHT_NULL).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

HEADER_SIZE = 64  # of ELF64; that of ELF32 is shorter
INDEX = ".gdb_index"

_MAGIC = b"\x7fELF"
_EXECUTABLE, _SHARED = 2, 3  # e_type
_NULL, _PROGBITS, _RELA, _NOBITS, _REL = 0, 1, 4, 8, 9  # sh_type
_ALLOC, _COMPRESSED = 0x2, 0x800  # sh_flags
_RESERVED = 0xFF00  # numbers of sections from here on mean something else
_INDEX_ALIGNMENT = 8
_MOST_ALIGNMENT = 1 << 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How headers look in files of 32 and of 64 bits, of one byte order."""

    order: str
    wide: bool

    @property
    def header(self) -> struct.Struct:
        word = "Q" if self.wide else "I"
        return struct.Struct(f"{self.order}16sHHI{word * 3}IHHHHHH")

    @property
    def section(self) -> struct.Struct:
        return struct.Struct(f"{self.order}{'IIQQQQIIQQ' if self.wide else 'I' * 10}")

    @property
    def compression(self) -> struct.Struct:
        """ch_type, ch_size, ch_addralign."""
        return struct.Struct(f"{self.order}{'I4xQQ' if self.wide else 'III'}")

    def file_extent(self, program_header: bytes) -> int:
        """Where the bytes of a segment end in the file."""
        fields = struct.unpack_from(
            f"{self.order}{'IIQQQQ' if self.wide else 'IIIII'}", program_header
        )
        offset, size = (fields[2], fields[5]) if self.wide else (fields[1], fields[4])
        return int(offset) + int(size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The file's header; `fields` in the order of Elf64_Ehdr."""

    shape: Shape
    fields: tuple[bytes | int, ...]

    def _number(self, at: int) -> int:
        value = self.fields[at]
        assert isinstance(value, int)
        return value

    @property
    def program_headers(self) -> tuple[int, int, int]:
        """Offset, size of each, count."""
        return self._number(5), self._number(9), self._number(10)

    @property
    def section_headers(self) -> tuple[int, int, int]:
        """Offset, size of each, count."""
        return self._number(6), self._number(11), self._number(12)

    @property
    def names(self) -> int:
        """The number of the section that holds the sections' names."""
        return self._number(13)

    def packed(self, *, sections_at: int, sections: int) -> bytes:
        fields = list(self.fields)
        fields[6], fields[12] = sections_at, sections
        return self.shape.header.pack(*fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section's header, in the order of Elf64_Shdr."""

    name: int
    kind: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int

    def fields(self) -> tuple[int, ...]:
        return (
            self.name, self.kind, self.flags, self.address, self.offset, self.size, self.link,
            self.info, self.alignment, self.entry_size,
        )  # fmt: skip

    @property
    def end(self) -> int:
        return self.offset + (0 if self.kind in (_NULL, _NOBITS) else self.size)

    @property
    def compressed(self) -> bool:
        return bool(self.flags & _COMPRESSED)

    @property
    def droppable(self) -> bool:
        """Relocations that were applied when the kernel was linked, and are no part of it."""
        return self.kind in (_RELA, _REL) and not self.flags & _ALLOC


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the copy: from `offset` on `size` bytes, which are those of the original's section
    `section`; None: the new index."""

    offset: int
    size: int
    section: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The copy: the first `fixed` bytes of the original (all that a kernel loads, and what lies
    between), then `pieces` in order, then the names and the headers of the sections."""

    fixed: int
    pieces: tuple[Piece, ...]
    names_at: int
    names: bytes
    headers_at: int
    headers: bytes
    count: int

    @property
    def size(self) -> int:
        return self.headers_at + len(self.headers)


def read_header(data: bytes) -> Header:
    """The header of an executable.  Raises `ValueError`, `struct.error`."""
    if not data.startswith(_MAGIC) or data[4] not in (1, 2) or data[5] not in (1, 2):
        raise ValueError("no ELF header")
    shape = Shape(order="<" if data[5] == 1 else ">", wide=data[4] == 2)
    header = Header(shape=shape, fields=shape.header.unpack_from(data))
    if header.fields[1] not in (_EXECUTABLE, _SHARED):
        raise ValueError("no executable: its relocations are needed")
    _, size, count = header.section_headers
    if size != shape.section.size or not 0 < header.names < count < _RESERVED - 1:
        raise ValueError(f"{count} section headers of {size} bytes")
    return header


def read_sections(header: Header, table: bytes, file_size: int) -> tuple[Section, ...]:
    """The sections.  Raises `ValueError` for one that does not lie in the file."""
    sections = tuple(
        Section(**dict(zip(_FIELDS, row, strict=True))) for row in _rows(header, table)
    )
    for section in sections:
        if section.end > file_size or section.alignment > _MOST_ALIGNMENT:
            raise ValueError(f"a section of {section.size} bytes at {section.offset}")
    return sections


_FIELDS = tuple(Section.__dataclass_fields__)


def _rows(header: Header, table: bytes) -> Iterator[tuple[int, ...]]:
    if len(table) != header.shape.section.size * header.section_headers[2]:
        raise ValueError("the section headers are cut off")
    return header.shape.section.iter_unpack(table)


def plan(
    header: Header,
    sections: Sequence[Section],
    segments_end: int,
    names: bytes,
    inflated: Mapping[int, tuple[int, int]],
    index_size: int,
) -> Plan:
    """Lay the copy out.

    `segments_end`: where the program headers and what they load end in the file.  `names`: the
    content of the section with the names.  `inflated`: size and alignment of what compressed
    sections hold, by number.
    """
    least = header.shape.header.size
    fixed = max([least, segments_end, *(s.end for s in sections if s.flags & _ALLOC)])
    new = [_EMPTY if _is_left_out(each, names) else each for each in sections]
    at, pieces = fixed, []
    for number in _moved(new, fixed):
        if number == header.names:
            continue
        section = new[number]
        if number in inflated:
            size, alignment = inflated[number]
            flags = section.flags & ~_COMPRESSED
            section = replace(section, size=size, alignment=alignment, flags=flags)
        at = _aligned(at, section.alignment)
        new[number] = replace(section, offset=at)
        pieces.append(Piece(offset=at, size=section.size, section=number))
        at += section.size
    at = _aligned(at, _INDEX_ALIGNMENT)
    pieces.append(Piece(offset=at, size=index_size, section=None))
    new.append(_index_section(len(names), at, index_size))
    names_at = at + index_size
    names += _INDEX_NAME
    new[header.names] = replace(new[header.names], offset=names_at, size=len(names))
    return Plan(
        fixed=fixed,
        pieces=tuple(pieces),
        names_at=names_at,
        names=names,
        headers_at=_aligned(names_at + len(names), 8),
        headers=b"".join(header.shape.section.pack(*section.fields()) for section in new),
        count=len(new),
    )


def _is_left_out(section: Section, names: bytes) -> bool:
    return section.droppable or names[section.name :].startswith(_INDEX_NAME)


def _moved(sections: Sequence[Section], fixed: int) -> list[int]:
    """The numbers of the sections that lie behind what is fixed, in their order there."""
    kinds = (_NULL, _NOBITS)
    behind = {
        n: s.offset for n, s in enumerate(sections) if s.kind not in kinds and s.offset >= fixed
    }
    return sorted(behind, key=lambda number: behind[number])


_INDEX_NAME = INDEX.encode() + b"\0"
_EMPTY = Section(**dict.fromkeys(_FIELDS, 0))


def _index_section(name: int, offset: int, size: int) -> Section:
    return replace(_EMPTY, name=name, kind=_PROGBITS, offset=offset, size=size, alignment=1)


def _aligned(offset: int, alignment: int) -> int:
    """
    >>> _aligned(5, 4), _aligned(8, 4), _aligned(5, 0)
    (8, 8, 5)
    """
    return offset + -offset % max(alignment, 1)
