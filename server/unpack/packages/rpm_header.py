"""The headers of an .rpm: a lead, the header of signatures, the main header; then the payload.

Layout: https://rpm-software-management.github.io/rpm/manual/format_v4.html
"""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpmfile.errors import RPMError
from rpmfile.headers import get_headers

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import corrupt

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAGIC = b"\xed\xab\xee\xdb"
_MOST_BYTES = 128 << 20  # of both headers; the names of 100,000 sources have some 10 MB
_AHEAD = 1 << 14


@dataclass(frozen=True, slots=True, kw_only=True)
class RpmHeader:
    """Both headers.  `start` and `end` of the main one in the file: what its signatures cover.

    `tags`: by rpmfile's names, by number where it has none; those of the main header win.  Texts
    are bytes, several of them a list, numbers an int or a tuple of them.
    """

    start: int
    end: int
    tags: Mapping[str | int, object]


def read_header(package: ByteSource) -> RpmHeader:
    """The headers of a package, as soon as they have come.  Raises `Refused` (`package-corrupt`),
    and what kept them from coming."""
    reader = io.BufferedReader(_Front(package), _AHEAD)
    try:
        (start, end), tags = get_headers(reader)
    except (RPMError, AssertionError, IndexError, TypeError, ValueError, struct.error) as error:
        raise corrupt(f"its headers make no sense: {error or type(error).__name__}") from error
    return RpmHeader(start=start, end=end, tags=tags)


class _Front(io.RawIOBase):
    """The beginning of a package as a file.  rpmfile trusts the sizes that a header claims, and
    looks for a lost header to the end: here both come to an end of file."""

    def __init__(self, package: ByteSource) -> None:
        self._package = package
        self._position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)
        size = min(len(view), _MOST_BYTES - self._position)
        data = self._package.read_at(self._position, size)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Only `tell` comes here."""
        if (offset, whence) != (0, io.SEEK_CUR):
            raise io.UnsupportedOperation("seek")
        return self._position
