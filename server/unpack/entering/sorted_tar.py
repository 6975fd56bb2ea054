"""A tar that is sorted by path, in blocks that can be unpacked alone: entered where a member is.

dpkg-deb sorts what it packs, folder by folder.  Nothing is taken for granted: who does not find a
member where it should be has to read the archive from its beginning.
"""

from __future__ import annotations

import itertools
import tarfile
import threading
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import NamedTuple

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import require_proportion
from kernsym.server.unpack.archive import Archive
from kernsym.server.unpack.codecs.blocks import BlockEntrances, find_entrances, unpacked
from kernsym.server.unpack.entering.entrances import open_at
from kernsym.server.unpack.entering.file_list import listed_files
from kernsym.server.unpack.packages import deb

_HEADER = tarfile.BLOCKSIZE
_MAGIC, _MAGIC_AT = b"ustar", 257
_NEAR = 3  # files: past so few it is quicker to read on than to search
_FAR = 4 << 20  # bytes: where a file is that large it is quicker to search in another block
_LONG = 4  # blocks: in fewer a second searcher is in the way of the first
_PIECE = 1 << 18  # unpacked at a time while searching
_LONGEST_START = 4 * _HEADER  # of a member: a header for a long name, the name, its own header


class Landmark(NamedTuple):
    """The file at `rank` of the list begins at `position`, in bytes from the archive's begin."""

    rank: int
    position: int


def open_sorted_tar(package: ByteSource) -> SortedTar | None:
    """The tar of a package that has come whole; None when it cannot be entered: it has no list of
    its files, or few blocks.  Raises `Refused` (`package-corrupt`)."""
    paths = listed_files(package)
    entrances = find_entrances(package, deb.find_payload(package)) if paths else None
    if entrances is None:
        return None
    blocks = entrances.blocks
    require_proportion(
        sum(block.packed for block in blocks), sum(block.unpacked for block in blocks)
    )
    return SortedTar(entrances, paths)


class SortedTar:
    """The files of a package that has come whole: `Whereabouts`."""

    def __init__(self, entrances: BlockEntrances, paths: Iterable[str]) -> None:
        self.threads = entrances.threads
        self.paths = tuple(sorted(paths, key=lambda path: path.split("/")))
        self.rank = {path: rank for rank, path in enumerate(self.paths)}
        self.files_of_an_entrance = max(1, len(self.paths) // len(entrances.blocks))
        self.digests: dict[str, tuple[str, str]] = {}  # blocks have their own
        self._entrances = entrances
        self._starts = entrances.starts
        self._landmarks: tuple[Landmark, ...] = (Landmark(-1, 0),)  # in order
        self._adding = threading.Lock()

    def open_before(
        self, path: str, stop: Callable[[], bool], *, together: bool
    ) -> AbstractContextManager[Archive]:
        position = self._position_before(self.rank[path])
        return open_at(self._entrances, position, "tar", stop, together=together)

    def _block_at(self, position: int) -> int:
        """The number of the block that holds a position."""
        return bisect_right(self._starts, position) - 1

    def _position_before(self, rank: int) -> int:
        """Where the file of `rank` begins, or one a little before it."""
        with ThreadPoolExecutor(self.threads, "search") as searchers:
            while True:
                known = self._landmarks
                at = bisect_right(known, rank, key=lambda landmark: landmark.rank)
                low, above = known[at - 1], known[at:]
                if rank - low.rank <= _NEAR:
                    return low.position
                first = self._block_at(low.position) + 1
                end = self._block_at(above[0].position) if above else len(self._starts)
                new = self._narrow(first, end, searchers).difference(known)
                if not new:
                    return low.position
                with self._adding:  # others may have found the same, or more
                    self._landmarks = tuple(sorted({*self._landmarks, *new}))

    def _narrow(self, low: int, high: int, searchers: ThreadPoolExecutor) -> set[Landmark]:
        """Files that begin in blocks from `low` to before `high`, about in its parts, of which
        there is one more than searchers."""
        parts = self.threads + 1 if high - low > _LONG else 2
        begins = [low + (high - low) * part // parts for part in range(1, parts)]
        found = searchers.map(lambda begin: self._search_from(begin, high), begins)
        return {*filter(None, found)}

    def _search_from(self, number: int, high: int) -> Landmark | None:
        """The first file found in a block, or in later ones before `high`."""
        ahead = itertools.takewhile(lambda ahead: ahead < high, _spreading(number))
        return next(filter(None, map(self._search, ahead)), None)

    def _search(self, number: int) -> Landmark | None:
        """The first listed file that begins in a block, unless a large one comes before it."""
        position, data = self._starts[number], b""
        end = position + _FAR
        for piece in unpacked(self._entrances.package, self._entrances.blocks[number], _PIECE):
            data += piece
            found = data.find(_MAGIC)
            while found >= 0:
                begin = found - _MAGIC_AT
                path = _path_at(data, begin) if (position + begin) % _HEADER == 0 else None
                if path in self.rank:
                    return Landmark(self.rank[path], position + begin)
                found = data.find(_MAGIC, found + 1)
            position += max(0, len(data) - _LONGEST_START)
            data = data[-_LONGEST_START:]
            if position > end:
                break
        return None


def _spreading(number: int) -> Iterator[int]:
    """The number, the next, and others further and further on."""
    yield number
    yield from (number + (1 << step) for step in itertools.count())


def _path_at(data: bytes, begin: int) -> str | None:
    """The path of the plain file whose header, or long name, stands there."""
    try:
        header = tarfile.TarInfo.frombuf(data[begin:][:_HEADER], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    name = header.name if header.isreg() else ""
    if header.type == tarfile.GNUTYPE_LONGNAME:
        long_name = data[begin + _HEADER :][: min(header.size, _HEADER)]
        name = long_name.rstrip(b"\0").decode("utf-8", "surrogateescape")
    return name.removeprefix("./")
