"""Where the payload lies in a .deb: an ar archive whose member `data.tar.*` holds the files, and
`control.tar.*` what is told of them.

Layout: deb(5), ar(5).  Only headers are read, so it works while the package still comes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import Payload, corrupt

MAGIC = b"!<arch>\n"
_HEADER_SIZE = 60
_MOST_MEMBERS = 16  # debian-binary, control.tar, data.tar, perhaps a signature

# How libarchive calls the compression, by the member's suffix.
_FILTERS = {
    "": "none",
    ".gz": "gzip",
    ".xz": "xz",
    ".zst": "zstd",
    ".bz2": "bzip2",
    ".lzma": "lzma",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ArMember:
    """A member of an ar archive: where its content begins, and its size in bytes."""

    name: str
    offset: int
    size: int

    @property
    def next_header(self) -> int:
        """Members begin at even offsets."""
        return self.offset + self.size + self.size % 2


def find_payload(package: ByteSource) -> Payload:
    """The payload of a .deb.  Raises `Refused` (`package-corrupt`)."""
    for member in _members(package):
        if payload := _tar(member, "data.tar"):
            return payload
    raise corrupt(f"no data.tar among its first {_MOST_MEMBERS} members")


def find_control(package: ByteSource) -> Payload | None:
    """What a .deb tells of itself, where it stands before the payload as it should."""
    for member in _members(package):
        if _tar(member, "data.tar"):
            return None
        if control := _tar(member, "control.tar"):
            return control
    return None


def _members(package: ByteSource) -> Iterator[ArMember]:
    offset = len(MAGIC)
    for _ in range(_MOST_MEMBERS):
        member = parse_header(package.read_at(offset, _HEADER_SIZE), offset)
        yield member
        offset = member.next_header


def _tar(member: ArMember, name: str) -> Payload | None:
    """The archive that a member is, if it has this name and a known suffix."""
    filter_name = _FILTERS.get(member.name.removeprefix(name))
    if filter_name is None or not member.name.startswith(name):
        return None
    return Payload(offset=member.offset, size=member.size, format="tar", filter=filter_name)


def parse_header(header: bytes, offset: int) -> ArMember:
    """The member whose 60 bytes of header stand at `offset`.

    >>> parse_header(b"data.tar.xz     0           0     0     100644  1234      `" + b"\\n", 8)
    ArMember(name='data.tar.xz', offset=68, size=1234)
    """
    size = header[48:58].strip()
    if len(header) < _HEADER_SIZE or header[58:60] != b"`\n" or not size.isdigit():
        raise corrupt(f"no member header at offset {offset}")
    name = header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/")
    return ArMember(name=name, offset=offset + _HEADER_SIZE, size=int(size))
