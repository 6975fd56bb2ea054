"""ELF notes, as vmcores and kdump headers hold them: owner, type, content."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MOST = 100_000  # one or two for each processor


@dataclass(frozen=True, slots=True)
class Note:
    name: bytes
    kind: int
    content: bytes


def parse_notes(data: bytes, order: str) -> Iterator[Note]:
    """The notes in `data`, `order` being `<` or `>`; ends quietly where they stop making sense."""
    at = 0
    for _ in range(_MOST):
        if at + 12 > len(data):
            return
        name_size, size, kind = struct.unpack_from(order + "III", data, at)
        start = at + 12 + (name_size + 3) // 4 * 4
        if start + size > len(data):
            return
        name = data[at + 12 : at + 12 + name_size].rstrip(b"\0")
        yield Note(name, kind, data[start : start + size])
        at = start + (size + 3) // 4 * 4


def vmcoreinfo_text(notes: Iterable[Note]) -> bytes | None:
    """The content of the VMCOREINFO note, if there is one."""
    return next((note.content for note in notes if note.name == b"VMCOREINFO"), None)
