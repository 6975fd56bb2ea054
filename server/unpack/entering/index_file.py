"""What a pass over a package leaves beside it, so that the next need not read all of it: where
each member begins, and where unpacking can begin if the package itself does not allow it.

    what was kept, each a zstd frame: windows (points.py, gzip_points.py), or the archive packed
        again (repack.py)
    a skippable zstd frame: the `Index`, its SHA-256, its size, and the mark of this format
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zstandard

from kernsym.cache.package_forms import INDEX_MARK, REPACK_MARK
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.entering.entrances import Misplaced
from kernsym.server.unpack.entering.gzip_points import GzipPoint
from kernsym.server.unpack.entering.points import Point
from kernsym.server.unpack.entering.repack import PackedFrame

_SKIPPABLE = 0x184D2A5D
_FRAME_HEADER = struct.Struct("<II")
_END = struct.Struct("<32sI8s")  # of the file
_BEGINNING = 1 << 20  # bytes of a package that tell it from others: in them are its own digests
_MOST_BYTES = 64 << 20  # of an index, half a MB for 4,000 members; and of what is kept at once
_MOST_OF_ALL = 1 << 50  # bytes, of any place in a package
_LEAST_ROOM = 2 << 30  # bytes that stay free on the disk


class IndexedMember(msgspec.Struct, frozen=True, array_like=True):
    """A file of a package: its path, where it begins in the unpacked archive, and its build ID in
    hex, "" if it has none or is none of those that were looked at."""

    path: bytes
    position: int
    build_id: str = ""


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`package`: what tells the package that it is of.  `members` in the order of the archive."""

    package: bytes
    members: tuple[IndexedMember, ...]
    points: tuple[Point, ...] = ()
    gzip_points: tuple[GzipPoint, ...] = ()
    frames: tuple[PackedFrame, ...] = ()


def identity(package: ByteSource) -> bytes:
    """What tells a package that has come whole from others: its size, and its beginning, which
    holds digests of the rest."""
    package.read_at(sys.maxsize, 0)  # who waits for the end knows the size
    beginning = hashlib.sha256(package.read_at(0, _BEGINNING))
    beginning.update(b"%d" % (package.whole() or 0))
    return beginning.digest()


class OpenIndex:
    """An index, and what was kept with it."""

    def __init__(self, index: Index, descriptor: int) -> None:
        self.index = index
        self._descriptor = descriptor

    def read(self, offset: int, packed: int, most: int) -> bytes:
        """As `ReadKept`.  Raises `Misplaced` for what is not as it was written."""
        if max(packed, most) > _MOST_BYTES:
            raise Misplaced
        try:
            data = os.pread(self._descriptor, packed, offset)
            if zstandard.get_frame_parameters(data).content_size <= most:
                return zstandard.ZstdDecompressor().decompress(data)
        except (zstandard.ZstdError, OSError) as error:
            raise Misplaced from error
        raise Misplaced


@contextlib.contextmanager
def open_index(path: Path, package: ByteSource) -> Iterator[OpenIndex | None]:
    """The index at `path`; None when there is none of this package, or it is damaged."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield None
        return
    try:
        index = _read(descriptor)
        right = index is not None and index.package == identity(package)
        yield OpenIndex(index, descriptor) if index and right else None
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Index | None:
    size = os.fstat(descriptor).st_size
    try:
        end = os.pread(descriptor, _END.size, size - _END.size)
        digest, length, mark = _END.unpack(end)
        if mark not in (INDEX_MARK, REPACK_MARK) or length > min(_MOST_BYTES, size):
            return None
        data = os.pread(descriptor, length, size - _END.size - length)
        if hashlib.sha256(data).digest() != digest:
            return None
        index = msgspec.msgpack.decode(data, type=Index)
    except (OSError, struct.error, msgspec.DecodeError):
        return None
    return index if _is_sound(index) else None


def _is_sound(index: Index) -> bool:
    """Whether members, points and frames follow each other, and all numbers can be right."""
    kept = (*index.points, *index.gzip_points, *index.frames)
    numbers = {number for each in kept for number in each}
    places = [member.position for member in index.members]
    points = index.points or index.gzip_points  # a payload has those of one kind
    entered = [0, *(point.position for point in points)]
    starts = [frame.position for frame in index.frames]
    ends = [frame.position + frame.size for frame in index.frames]
    return (
        all(0 <= number < _MOST_OF_ALL for number in (*numbers, *places))
        and all(places[at] < places[at + 1] for at in range(len(places) - 1))
        and all(entered[at] < entered[at + 1] for at in range(len(entered) - 1))
        and starts == [0, *ends][: len(starts)]
    )


class IndexFile:
    """An index that is being written, beside its place."""

    def __init__(self, path: Path) -> None:
        """Raises `OSError`, also while somebody else writes it."""
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = beside(path).open("ab")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file.truncate(0)
        except OSError:
            self._file.close()
            raise
        self._size = 0
        self._finished = False

    def keep(self, data: bytes) -> tuple[int, int]:
        """Writes a packed frame; where it lies and its size."""
        disk = os.fstatvfs(self._file.fileno())
        if disk.f_bavail * disk.f_frsize < _LEAST_ROOM:
            raise OSError("there is not enough room on the disk")
        offset = self._size
        self._size += self._file.write(data)
        return offset, len(data)

    def finish(self, index: Index) -> None:
        data = msgspec.msgpack.encode(index)
        mark = REPACK_MARK if index.frames else INDEX_MARK
        end = _END.pack(hashlib.sha256(data).digest(), len(data), mark)
        self._file.write(_FRAME_HEADER.pack(_SKIPPABLE, len(data) + len(end)) + data + end)
        self._file.flush()
        self._finished = True

    def close(self) -> None:
        """Lets go of it; one that is not finished is gone."""
        if not self._finished:
            with contextlib.suppress(OSError):
                beside(self._path).unlink()
        with contextlib.suppress(OSError):
            self._file.close()


def beside(path: Path) -> Path:
    """Where an index is written, until its package is known to be what it should."""
    return path.with_name(f"{path.name}.part")


def keep_index(path: Path) -> None:
    """Put in its place what a pass has left beside it: its package is what it should be."""
    with contextlib.suppress(FileNotFoundError):
        beside(path).replace(path)


def drop_index(path: Path) -> None:
    """Remove what passes have left: the package is not what it should be, or gone."""
    for each in (path, beside(path)):
        each.unlink(missing_ok=True)
