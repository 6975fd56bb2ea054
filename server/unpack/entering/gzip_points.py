"""Enters a gzip stream in the middle, at points that a pass over it has marked: where a block
begins, and with what the block may reach back to."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.codecs import gzip
from kernsym.server.unpack.entering.entrances import Misplaced, ReadKept
from kernsym.server.unpack.packed import Payload

log = logging.getLogger(__name__)

_APART = 16 << 20  # bytes between points: unpacked in 0.05 s, and 512 windows


class GzipPoint(NamedTuple):
    """Where a stream can be entered.

    `position` in the unpacked archive; in the package the block begins in the last `bits` bits
    of the byte before `offset`.  `window`: where that lies among what was kept, and `window_size`,
    in how many bytes.
    """

    position: int
    offset: int
    bits: int
    window: int
    window_size: int


class GzipPointMaker:
    """Marks points while a package is unpacked: `gzip.Marker`.  `keep` takes a window and tells
    where it lies; once it fails nothing is marked any more, and it has `failed`."""

    def __init__(self, keep: Callable[[bytes], tuple[int, int]]) -> None:
        self.points: list[GzipPoint] = []
        self.failed = False
        self.wanted = _APART
        self._keep = keep

    def mark(self, position: int, offset: int, bits: int, window: bytes) -> None:
        self.wanted = position + _APART
        if self.failed:
            return
        try:
            place, size = self._keep(window)
        except OSError as error:
            self.failed = True
            log.warning("no index is left of a package: %s", error)
        else:
            self.points.append(GzipPoint(position, offset, bits, place, size))


class GzipPointEntrances:
    """A payload that can be entered at points: `Entrances`.  `read` gives what was kept."""

    def __init__(
        self, package: ByteSource, payload: Payload, points: Sequence[GzipPoint], read: ReadKept
    ) -> None:
        self._package = package
        self._payload = payload
        self._points = points
        self._read = read
        self.starts = (0, *(point.position for point in points))
        self.threads = len(os.sched_getaffinity(0))

    @contextlib.contextmanager
    def unpacked_from(self, number: int, *, together: bool) -> Iterator[Iterator[bytes]]:
        if number:
            yield self._from(self._points[number - 1])
        else:
            yield gzip.unpacked(self._package, self._payload)

    def _from(self, point: GzipPoint) -> Iterator[bytes]:
        if point.bits > 7 or point.offset <= self._payload.offset:
            raise Misplaced
        window = self._read(point.window, point.window_size, gzip.WINDOW)
        return gzip.unpacked_from(self._package, self._payload, point.offset, point.bits, window)
