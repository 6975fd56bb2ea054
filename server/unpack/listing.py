"""One pass over a package that writes nothing: which build IDs its modules have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from kernsym.distros import Layout, MemberKind
from kernsym.server.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.member_file import content_of, find_member
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.payload import Stopped, open_payload

# The note lies among the first sections, so there is no need to wait for the table at the end:
# sizes of owner and content, type 3, the owner; in either order of bytes.
_NOTE = re.compile(
    rb"(?:\x04\0\0\0(?P<little>[\x04-\x20])\0\0\0\x03\0\0\0"
    rb"|\0\0\0\x04\0\0\0(?P<big>[\x04-\x20])\0\0\0\x03)GNU\0"
)
_HEAD = 64 << 10


def list_modules(
    package: ByteSource, layout: Layout, *, stop: Callable[[], bool] = lambda: False
) -> dict[str, str] | None:
    """The names of all modules by their build IDs; None when `stop` ended the pass.

    What it says is a hint: only the file itself, once it is written, proves what it is.
    Raises as `extract`.
    """
    modules: dict[str, str] = {}
    allowance = Allowance()
    try:
        with open_payload(package, stop, allowance) as archive:
            for entry, path in safe_files(archive, allowance):
                member = find_member(layout, path)
                if member is None or member.kind is not MemberKind.MODULE:
                    continue
                with content_of(member, archive, entry, allowance) as blocks:
                    if (build_id := find_note(_head(blocks))) is not None:
                        modules[build_id] = member.name
    except Stopped:
        return None
    return modules


def find_note(head: bytes) -> str | None:
    """The build ID whose note stands in the beginning of a file, in hex."""
    for found in _NOTE.finditer(head):
        size = (found["little"] or found["big"])[0]
        if found.start() % 4 == 0 and len(head) >= found.end() + size:
            return head[found.end() : found.end() + size].hex()
    return None


def _head(blocks: Iterable[memoryview]) -> bytes:
    head = b""
    for block in blocks:
        head += bytes(block[: _HEAD - len(head)])
        if len(head) >= _HEAD:
            break
    return head
