"""The build ID that an ELF file carries, read from its notes; layout of the fields: elf(5)."""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path

_NOTE_SECTION = 7
_GNU_BUILD_ID = 3
_MOST_NOTES = 1 << 20


def build_id_of(path: Path) -> str | None:
    """In hex; None for a file that carries none or is no ELF file.  Raises `OSError`."""
    with path.open("rb") as file:
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return next(_build_ids(data), None)
        except (ValueError, struct.error):  # empty, cut, or no ELF file
            return None


def _build_ids(data: mmap.mmap) -> Iterator[str]:
    if data[:4] != b"\x7fELF":
        return
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"
    (sections,) = struct.unpack_from(f"{order}Q" if wide else f"{order}I", data, 40 if wide else 32)
    size, count = struct.unpack_from(f"{order}HH", data, 58 if wide else 46)
    for number in range(count):
        at = sections + number * size
        (kind,) = struct.unpack_from(f"{order}I", data, at + 4)
        if kind == _NOTE_SECTION:
            form, place = (f"{order}QQ", at + 24) if wide else (f"{order}II", at + 16)
            offset, length = struct.unpack_from(form, data, place)
            yield from _in_notes(data[offset : offset + min(length, _MOST_NOTES)], order)


def _in_notes(notes: bytes, order: str) -> Iterator[str]:
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = struct.unpack_from(f"{order}III", notes, at)
        name = at + 12
        content = name + (name_size + 3) // 4 * 4
        if kind == _GNU_BUILD_ID and notes[name : name + 4] == b"GNU\0":
            yield notes[content : content + size].hex()
        at = content + (size + 3) // 4 * 4
