"""A tar that is sorted by path, in blocks that can be unpacked alone: entered where a member is.

dpkg-deb sorts what it packs, folder by folder.  Nothing is taken for granted: who does not find a
member where it should be has to read the archive from its beginning.
"""

from __future__ import annotations

import contextlib
import itertools
import tarfile
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack import deb
from kernsym.server.unpack.allowance import require_proportion
from kernsym.server.unpack.archive import Archive, open_archive
from kernsym.server.unpack.blocks import Blocks, find_blocks, unpacked, unpacked_in_order
from kernsym.server.unpack.file_list import listed_files
from kernsym.server.unpack.payload import Stopped
from kernsym.server.unpack.xz import Block

_LEAST_BLOCKS = 8
_HEADER = tarfile.BLOCKSIZE
_MAGIC, _MAGIC_AT = b"ustar", 257
_NEAR = 3  # files: past so few it is quicker to read on than to search
_FAR = 4 << 20  # bytes: where a file is that large it is quicker to search in another block
_LONGEST_START = 4 * _HEADER  # of a member: a header for a long name, the name, its own header


class Landmark(NamedTuple):
    """The file at `rank` of the list begins at `position`, in bytes from the archive's begin."""

    rank: int
    position: int


def open_sorted_tar(package: ByteSource) -> SortedTar | None:
    """The tar of a package; None when it cannot be entered: it has not come whole, has no list of
    its files, or few blocks.  Raises `Refused` (`package-corrupt`)."""
    package.read_at(0, 1)  # only a source that has begun knows whether all of it is there
    paths = listed_files(package) if package.whole() is not None else frozenset()
    payload = deb.find_payload(package) if paths else None
    found = find_blocks(package, payload, by_index=True) if payload else None
    blocks = tuple(found.blocks) if found else ()
    if found is None or len(blocks) < _LEAST_BLOCKS:
        return None
    require_proportion(
        sum(block.packed for block in blocks), sum(block.unpacked for block in blocks)
    )
    return SortedTar(package, blocks, paths, found.threads)


class SortedTar:
    """The files of a package that has come whole.  May be used by several threads.

    `paths`: of all files, in the order in which they should lie in the archive, and the `rank` of
    each.  `threads`: how many may unpack at once.
    """

    def __init__(
        self, package: ByteSource, blocks: Sequence[Block], paths: Iterable[str], threads: int
    ) -> None:
        self.package = package
        self.blocks = blocks
        self.threads = threads
        self.paths = tuple(sorted(paths, key=lambda path: path.split("/")))
        self.rank = {path: rank for rank, path in enumerate(self.paths)}
        self._starts = (0, *itertools.accumulate(block.unpacked for block in blocks))
        self._landmarks = [Landmark(-1, 0)]

    @property
    def files_of_a_block(self) -> int:
        """How many files there are to a block, on average; at least one."""
        return max(1, len(self.paths) // len(self.blocks))

    @contextlib.contextmanager
    def open_before(
        self, path: str, stop: Callable[[], bool], *, together: bool
    ) -> Iterator[Archive]:
        """The archive from a little before a file on.  Its blocks are unpacked several together
        or one by one, those that nobody wants anything of are not.

        `stop` is asked at every read and ends it with `Stopped`.
        """
        position = self._position_before(self.rank[path])
        with (
            contextlib.closing(_Feed(self, position, stop, together)) as feed,
            open_archive(feed, format_name="tar", filter_name="none", skip=feed.skip) as archive,
        ):
            yield archive

    def block_at(self, position: int) -> int:
        """The number of the block that holds a position."""
        return bisect_right(self._starts, position) - 1

    def start_of(self, number: int) -> int:
        """The position at which a block begins."""
        return self._starts[number]

    def _position_before(self, rank: int) -> int:
        """Where the file of `rank` begins, or one a little before it."""
        while True:
            at = bisect_right(self._landmarks, rank, key=lambda landmark: landmark.rank)
            low, above = self._landmarks[at - 1], self._landmarks[at:]
            high = self.block_at(above[0].position) if above else len(self.blocks)
            if rank - low.rank <= _NEAR or not self._narrow(self.block_at(low.position) + 1, high):
                return low.position

    def _narrow(self, low: int, high: int) -> bool:
        """Finds a file that begins in a block from `low` to before `high`, about in the middle."""
        middle = (low + high) // 2
        ahead = itertools.takewhile(lambda number: number < high, _spreading(middle))
        found = next(filter(None, map(self._search, ahead)), None)
        if found is None or found in self._landmarks:
            return False
        insort(self._landmarks, found)
        return True

    def _search(self, number: int) -> Landmark | None:
        """The first listed file that begins in a block, unless a large one comes before it."""
        position, data = self._starts[number], b""
        end = position + _FAR
        for piece in unpacked(self.package, self.blocks[number]):
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


class _Feed:
    """The archive's bytes from a position on, for its reader."""

    def __init__(
        self, tar: SortedTar, position: int, stop: Callable[[], bool], together: bool
    ) -> None:
        self._tar = tar
        self._stop = stop
        self._together = together
        self._opened = contextlib.ExitStack()
        self._pieces: Iterator[bytes] = iter(())
        self._position = self._unwanted = 0
        self._enter(position)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._stop():
            raise Stopped
        piece = next(self._pieces)
        while self._unwanted >= len(piece):
            self._unwanted -= len(piece)
            piece = next(self._pieces)
        piece, self._unwanted = piece[self._unwanted :], 0
        self._position += len(piece)
        return piece

    def skip(self, count: int) -> int:
        """Goes on at the block that holds what comes `count` bytes later, if that is another."""
        start = self._tar.start_of(self._tar.block_at(self._position + count))
        skipped = max(0, start - self._position)
        if skipped:
            self.close()
            self._enter(start)
        return skipped

    def close(self) -> None:
        self._opened.close()

    def _enter(self, position: int) -> None:
        number = self._tar.block_at(position)
        self._position = position
        self._unwanted = position - self._tar.start_of(number)
        blocks, package = self._tar.blocks[number:], self._tar.package
        if self._together:
            found = Blocks(blocks=blocks, threads=self._tar.threads)
            self._pieces = self._opened.enter_context(unpacked_in_order(package, found))
        else:
            self._pieces = itertools.chain.from_iterable(
                unpacked(package, block) for block in blocks
            )


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
