"""Archives that can be entered: unpacked from some positions on, not only from their beginning.

xz in several blocks                 blocks.py    every block
zstd in one frame                    points.py    where a pass over it left what the decoder knew
gzip                                 gzip_points.py  blocks that a pass over it marked
anything else, packed again          repack.py    every frame of what a pass left
"""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from kernsym.server.unpack.archive import Archive, Stopped, open_archive

# Gives what a pass kept: from an offset, so many packed bytes, which unpack to so many at most.
ReadKept = Callable[[int, int, int], bytes]


class Misplaced(Exception):
    """Something is not where it should be: the archive has to be read from its beginning."""


class Entrances(Protocol):
    """Where unpacking can begin.  May be used by several threads.

    `starts`: positions in bytes from the archive's beginning, ascending from 0.  `threads`: how
    many may unpack at once.
    """

    @property
    def starts(self) -> Sequence[int]: ...

    @property
    def threads(self) -> int: ...

    def unpacked_from(
        self, number: int, *, together: bool
    ) -> AbstractContextManager[Iterator[bytes]]:
        """The archive from an entrance to its end, in pieces; `together`: by all threads."""
        ...


@contextlib.contextmanager
def open_at(
    entrances: Entrances,
    position: int,
    format_name: str,
    stop: Callable[[], bool],
    *,
    together: bool,
) -> Iterator[Archive]:
    """The archive from a position on, at which a member has to begin.  What nobody wants anything
    of is not unpacked, as far as there are entrances behind it.

    `stop` is asked at every read and ends it with `Stopped`.
    """
    with (
        contextlib.closing(_Feed(entrances, position, stop, together)) as feed,
        open_archive(feed, format_name=format_name, filter_name="none", skip=feed.skip) as archive,
    ):
        yield archive


class _Feed:
    """The archive's bytes from a position on, for its reader."""

    def __init__(
        self, entrances: Entrances, position: int, stop: Callable[[], bool], together: bool
    ) -> None:
        self._entrances = entrances
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
        """Goes on at the last entrance before what comes `count` bytes later, if one is ahead."""
        start = self._entrances.starts[self._entrance_before(self._position + count)]
        skipped = max(0, start - self._position)
        if skipped:
            self.close()
            self._enter(start)
        return skipped

    def close(self) -> None:
        self._opened.close()

    def _entrance_before(self, position: int) -> int:
        return bisect_right(self._entrances.starts, position) - 1

    def _enter(self, position: int) -> None:
        number = self._entrance_before(position)
        self._position = position
        self._unwanted = position - self._entrances.starts[number]
        unpacked = self._entrances.unpacked_from(number, together=self._together)
        self._pieces = self._opened.enter_context(unpacked)
