"""Build IDs that stand in the beginning of a file, found while it goes by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import Archive, Entry
from kernsym.server.unpack.member_file import Member, content_of

# The note lies among the first sections, so there is no need to wait for the table at the end:
# sizes of owner and content, type 3, the owner; in either order of bytes.
_NOTE = re.compile(
    rb"(?:\x04\0\0\0(?P<little>[\x04-\x20])\0\0\0\x03\0\0\0"
    rb"|\0\0\0\x04\0\0\0(?P<big>[\x04-\x20])\0\0\0\x03)GNU\0"
)
_HEAD = 64 << 10
_LONGEST_NOTE = 48


def noted_build_id(
    member: Member, archive: Archive, entry: Entry, allowance: Allowance
) -> str | None:
    """The build ID of the archive's current member, in hex.  Raises as `extract`."""
    with content_of(member, archive, entry, allowance) as blocks:
        return find_note(_head(blocks))


def find_note(head: bytes) -> str | None:
    """The build ID whose note stands in the beginning of a file, in hex."""
    return next(_notes(head), None)


def all_notes(blocks: Iterable[memoryview]) -> Iterator[str]:
    """The build IDs of all notes that stand in a file."""
    data, position = b"", 0
    for block in blocks:
        data += bytes(block)
        yield from _notes(data, position)
        position += max(0, len(data) - _LONGEST_NOTE)
        data = data[-_LONGEST_NOTE:]


def _notes(data: bytes, position: int = 0) -> Iterator[str]:
    """The build IDs in a piece of a file that begins at `position`."""
    for found in _NOTE.finditer(data):
        size = (found["little"] or found["big"])[0]
        if (position + found.start()) % 4 == 0 and len(data) >= found.end() + size:
            yield data[found.end() : found.end() + size].hex()


def _head(blocks: Iterable[memoryview]) -> bytes:
    head = b""
    for block in blocks:
        head += bytes(block[: _HEAD - len(head)])
        if len(head) >= _HEAD:
            break
    return head
