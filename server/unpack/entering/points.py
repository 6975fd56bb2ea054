"""Enters a zstd frame in the middle, at points that a pass over it has marked.

To go on from a block, libzstd needs what the blocks before it unpacked to, as far back as the
window reaches, and what it learned from them: tables of symbols and the last offsets.  The window
is kept.  What is learned does not depend on it, so some blocks before the point are unpacked over
zeros: to rubbish, but the decoder has learned from them.  Then come the window and the point.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.codecs.zstd import (
    MOST_OF_A_BLOCK,
    Frame,
    frame_header,
    new_decoder,
    raw_block,
    read_frame,
    runs,
    unpacked,
    unpacked_blocks,
    unpacked_frames,
    zeros_block,
)
from kernsym.server.unpack.entering.entrances import Misplaced, ReadKept
from kernsym.server.unpack.packed import Payload

_LARGEST_WINDOW = 16 << 20  # bytes: of level 19 it has 8 MiB
_APART = 128 << 20  # bytes between points at least: unpacked in 0.1 s
_WINDOWS_APART = 32  # so that the windows have a 32nd of what is unpacked, before they are packed
_AFTER_FAILURE = 4 << 20
_LESSONS = 12  # runs of blocks before a point that the decoder may learn from


class Point(NamedTuple):
    """Where a frame can be entered.

    `position` in the unpacked archive.  In the package, where its `frame` begins, the first block
    of the `lesson`, and the block to go on from (`offset`).  `window`: where that lies among what
    was kept, and `window_size`, in how many bytes.
    """

    position: int
    frame: int
    lesson: int
    offset: int
    window: int
    window_size: int


class PointMaker:
    """Marks points while a package goes by; `keep` takes a window and tells where it lies."""

    def __init__(self, package: ByteSource, keep: Callable[[bytes], tuple[int, int]]) -> None:
        self.points: list[Point] = []
        self._package = package
        self._keep = keep
        self._position = 0
        self._next = _APART
        self._frame: Frame | None = None
        self._ends: deque[int] = deque(maxlen=_LESSONS + 1)  # of runs
        self._tail: deque[bytes] = deque()  # a little more than a window
        self._tail_size = 0

    def seen(self, frame: Frame, end: int, piece: bytes) -> None:
        """As `zstd.Seen`."""
        if frame is not self._frame:
            self._frame = frame
            self._ends.clear()
            self._ends.append(frame.blocks)
            self._tail.clear()
            self._tail_size = 0
        enterable = frame.descriptor is not None and frame.window <= _LARGEST_WINDOW
        if self._position >= self._next and enterable and len(self._ends) > 1:
            self._mark(frame, end, piece)
        self._position += len(piece)
        self._ends.append(end)
        self._tail.append(piece)
        self._tail_size += len(piece)
        while self._tail_size - len(self._tail[0]) >= frame.window:
            self._tail_size -= len(self._tail.popleft())

    def _mark(self, frame: Frame, end: int, piece: bytes) -> None:
        """Marks the point before a piece, if the piece comes out right from there."""
        *lessons, offset = self._ends
        window = b"".join(self._tail)[-frame.window :]
        packed = self._package.read_at(offset, end - offset)
        for lesson in lessons:
            try:
                decoder = _enter(self._package, frame, lesson, offset, window)
                right = decoder.decompress(packed).startswith(piece)
            except (zstandard.ZstdError, Misplaced):
                continue
            if right:
                place, size = self._keep(window)
                self.points.append(Point(self._position, frame.offset, lesson, offset, place, size))
                self._next = self._position + max(_APART, _WINDOWS_APART * frame.window)
                return
        self._next = self._position + _AFTER_FAILURE


class PointEntrances:
    """A payload that can be entered at points: `Entrances`.  `read` gives what was kept."""

    def __init__(
        self, package: ByteSource, payload: Payload, points: Sequence[Point], read: ReadKept
    ) -> None:
        self._package = package
        self._payload = payload
        self._points = points
        self._read = read
        self.starts = (0, *(point.position for point in points))
        self.threads = len(os.sched_getaffinity(0))

    @contextlib.contextmanager
    def unpacked_from(self, number: int, *, together: bool) -> Iterator[Iterator[bytes]]:
        yield (
            self._from(self._points[number - 1])
            if number
            else unpacked(self._package, self._payload)
        )

    def _from(self, point: Point) -> Iterator[bytes]:
        end = None if self._payload.size is None else self._payload.offset + self._payload.size
        frame = read_frame(self._package, point.frame)
        window = self._read(point.window, point.window_size, frame.window)
        try:
            decoder = _enter(self._package, frame, point.lesson, point.offset, window)
        except zstandard.ZstdError as error:
            raise Misplaced from error
        after = yield from unpacked_blocks(self._package, frame, point.offset, decoder)
        yield from unpacked_frames(self._package, after, end)


def can_be_marked(package: ByteSource, payload: Payload) -> bool:
    """Whether points in a zstd payload are worth their windows."""
    frame = read_frame(package, payload.offset)
    return frame.descriptor is not None and frame.window <= _LARGEST_WINDOW


def _enter(
    package: ByteSource, frame: Frame, lesson: int, offset: int, window: bytes
) -> zstandard.ZstdDecompressionObj:
    """A decoder that expects the block at `offset`.  Raises `ZstdError` where the lesson makes no
    sense, `Misplaced` where it does not end there."""
    if frame.descriptor is None:
        raise Misplaced
    decoder = new_decoder()
    decoder.decompress(frame_header(frame.descriptor))
    for piece in _cut(window):
        decoder.decompress(zeros_block(len(piece)))
    for run in runs(package, lesson):
        decoder.decompress(run.data)
        if run.end >= offset:
            break
    if run.end != offset:
        raise Misplaced
    for piece in _cut(window):
        decoder.decompress(raw_block(bytes(piece)))
    return decoder


def _cut(window: bytes) -> Iterator[memoryview]:
    view = memoryview(window)
    most = MOST_OF_A_BLOCK
    return (view[start : start + most] for start in range(0, len(view), most))
