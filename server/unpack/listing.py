"""One pass over a package that writes nothing: which build IDs its files have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from kernsym.distros import Layout, MemberKind
from kernsym.server.mirrors.growing import ByteSource
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
_LONGEST_NOTE = 48


def list_modules(
    package: ByteSource,
    layout: Layout,
    *,
    vmlinux: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, str] | None:
    """The names of all modules by their build IDs; None when `stop` ended the pass.

    With `vmlinux` the build IDs that stand in that file too, under the name "": its own is one of
    them, the others are of what is embedded in it.
    What it says is a hint: only the file itself, once it is written, proves what it is.
    Raises as `extract`.
    """
    modules: dict[str, str] = {}
    kinds = (MemberKind.MODULE, MemberKind.VMLINUX) if vmlinux else (MemberKind.MODULE,)
    allowance = Allowance()
    try:
        with open_payload(package, stop, allowance) as archive:
            for entry, path in safe_files(archive, allowance):
                member = find_member(layout, path)
                if member is None or member.kind not in kinds:
                    continue
                with content_of(member, archive, entry, allowance) as blocks:
                    if member.kind is MemberKind.VMLINUX:
                        modules.update((build_id, "") for build_id in _all_notes(blocks))
                    elif (build_id := find_note(_head(blocks))) is not None:
                        modules[build_id] = member.name
    except Stopped:
        return None
    return modules


def find_note(head: bytes) -> str | None:
    """The build ID whose note stands in the beginning of a file, in hex."""
    return next(_notes(head), None)


def _all_notes(blocks: Iterable[memoryview]) -> Iterator[str]:
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
