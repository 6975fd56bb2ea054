"""libarchive as a stream: bytes are asked for when needed, members come by one after another.

libarchive-c hides what goes wrong in a read callback: an exception there becomes the end of the
archive.  So it is kept, the read answered with an error, and the exception raised on this side.
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import itertools
import mmap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from libarchive import ffi
from libarchive.exception import ArchiveError
from libarchive.read import ArchiveRead, new_archive_read

from kernsym.server.unpack.packed import corrupt

_open2 = ffi.ffi(
    "read_open2",
    [ffi.c_archive_p, ctypes.c_void_p, *[ctypes.c_void_p] * 4],
    ctypes.c_int,
    ffi.check_int,
)
_SKIP_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_longlong, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong
)
_position = ffi.ffi("read_header_position", [ffi.c_archive_p], ctypes.c_longlong)
_link_count = ffi.ffi("entry_nlink", [ffi.c_archive_entry_p], ctypes.c_uint)

BLOCK = 1 << 18  # bytes: large enough for few calls, small enough for the processor's cache
KEPT = 4  # blocks of a member that are valid at once


class Stopped(Exception):
    """The caller asked to stop."""


class EntryType(enum.Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    SPECIAL = "special"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A member as its header describes it; `size` in bytes, `modified` in seconds since 1970.
    `position`: where the header begins, in bytes from where the archive was opened.
    """

    path: str
    type: EntryType
    size: int
    modified: int
    position: int


class Archive:
    """An open archive.  It belongs to the thread that opened it."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer
        self._reader = ArchiveRead(pointer)
        # Whole pages: only from there a disk takes what is written past the page cache.
        memory = mmap.mmap(-1, KEPT * BLOCK, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        buffer = ctypes.c_char * BLOCK
        self._buffers = itertools.cycle(
            buffer.from_buffer(memory, number * BLOCK) for number in range(KEPT)
        )

    def entries(self) -> Iterator[Entry]:
        """The members in order; the content of each can be read until the next is asked for."""
        for found in self._reader:
            path = found.pathname
            if not isinstance(path, str):
                raise corrupt("a member's name is not text")
            yield Entry(
                path=path,
                type=_entry_type(found),
                size=found.size or 0,
                modified=int(found.mtime or 0),
                position=_position(self._pointer),
            )

    def blocks(self) -> Iterator[memoryview]:
        """The current member's content; each block is valid until the `KEPT`th after it is asked
        for."""
        for buffer in self._buffers:
            size = ffi.read_data(self._pointer, buffer, BLOCK)
            if size <= 0:
                break
            yield memoryview(buffer).cast("B")[:size]
        if size < 0:  # a warning: libarchive-c lets it pass as a size
            raise corrupt("a member's content is damaged")


@contextlib.contextmanager
def open_archive(
    feed: Iterator[bytes] | Iterator[memoryview],
    *,
    format_name: str,
    filter_name: str,
    skip: Callable[[int], int] = lambda count: 0,
) -> Iterator[Archive]:
    """An archive over the blocks of `feed`, each used until the next is asked for.

    `skip` is asked to pass over so many bytes that nobody wants, and tells how many it did.
    Formats and filters go by libarchive's names.  One filter is allowed, by name, because some
    of libarchive's start programs.  Raises what `feed` raises, else `Refused` (`package-corrupt`).
    """
    failures: list[BaseException] = []
    held: list[object] = []  # libarchive reads the last answer until it asks for the next

    def read(_archive: object, _context: object, answer: Any) -> int:
        try:
            held[:] = [data := next(feed, b"")]
            answer[0] = _address(data)
            return len(data)
        except BaseException as error:
            failures.append(error)
            return int(ffi.ARCHIVE_FATAL)

    def pass_over(_archive: object, _context: object, count: int) -> int:
        try:
            return skip(count)
        except BaseException as error:
            failures.append(error)
            return int(ffi.ARCHIVE_FATAL)

    try:
        with new_archive_read(format_name, filter_name) as pointer:
            callbacks = ffi.READ_CALLBACK(read), _SKIP_CALLBACK(pass_over)  # live with the archive
            reader, skipper = (ctypes.cast(each, ctypes.c_void_p) for each in callbacks)
            _open2(pointer, None, None, reader, skipper, None)
            yield Archive(pointer)
    except ArchiveError as error:
        if not failures:
            raise corrupt(str(error)) from error
    if failures:
        raise failures[0]


def _address(data: bytes | memoryview) -> int | None:
    """Where the bytes lie.  Not by ctypes.cast, which would keep them until the next collection of
    garbage (https://bugs.python.org/issue12836)."""
    if isinstance(data, bytes):
        return ctypes.c_void_p.from_buffer(ctypes.c_char_p(data)).value
    return ctypes.addressof(ctypes.c_char.from_buffer(data))


def _entry_type(entry: object) -> EntryType:
    if entry.issym:  # type: ignore[attr-defined]
        return EntryType.LINK
    if entry.islnk or (entry.isreg and _link_count(entry._entry_p) > 1):  # type: ignore[attr-defined]
        # Of hard links, cpio gives the content to the last one; the others come empty.
        return EntryType.FILE if entry.size else EntryType.LINK  # type: ignore[attr-defined]
    if entry.isreg:  # type: ignore[attr-defined]
        return EntryType.FILE
    return EntryType.FOLDER if entry.isdir else EntryType.SPECIAL  # type: ignore[attr-defined]
