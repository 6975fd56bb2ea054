"""Unpacks in threads, ahead of the reader: several parts at once, or the one that there is.

The decoders let go of the interpreter while they work, so threads are as good as processes here.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from kernsym.server.threads import stand_back

_MEMORY_OF_PIECES = 64 << 20  # unpacked ahead of the reader

# Behind the event loop, which else waits for a processor: of /healthz, asked while all of Debian's
# package was unpacked on a busy machine, the median was 4 ms instead of 1.4, the 95th percentile 29
# instead of 13.  Not so the reader: it may hold the interpreter when it has to yield.
_NICE = 8


@contextlib.contextmanager
def in_order(parts: Iterable[Iterator[bytes]], threads: int) -> Iterator[Iterator[bytes]]:
    """The pieces of all parts, one part after the other, while several are being made.

    Memory stays flat: the threads wait where they are too far ahead of the reader.  An error
    comes out where the bytes would have, and ends the stream.
    """
    work = _Work(parts)
    with ThreadPoolExecutor(
        threads, "unpack", initializer=stand_back, initargs=(_NICE,)
    ) as decoders:
        for _ in range(threads):
            decoders.submit(work.run)
        try:
            yield work.pieces()
        finally:
            work.close()


class _Line:
    """The pieces of one part that wait for the reader."""

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.error: Exception | None = None


class _Work:
    """The parts that are being unpacked, shared by the decoders and the reader."""

    def __init__(self, parts: Iterable[Iterator[bytes]]) -> None:
        self._parts = iter(parts)
        self._turn = threading.Lock()  # to take the next part, which may have to come first
        self._changed = threading.Condition()
        self._lines: deque[_Line] = deque()  # in the order of the parts
        self._waiting = 0  # bytes in all lines
        self._all_taken = False
        self._closed = False

    def run(self) -> None:
        """What a decoder does: part after part."""
        while (taken := self._take()) is not None:
            line, part = taken
            try:
                for piece in part:
                    if not self._put(line, piece):
                        return
                self._end(line, None)
            except Exception as error:
                self._end(line, error)

    def pieces(self) -> Iterator[bytes]:
        """What the reader sees."""
        while (line := self._first_line()) is not None:
            while piece := self._next_piece(line):
                yield piece
            if line.error is not None:
                raise line.error
            with self._changed:
                self._lines.popleft()
                self._changed.notify_all()

    def close(self) -> None:
        """Lets the decoders go."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _take(self) -> tuple[_Line, Iterator[bytes]] | None:
        """The next part and its place in line; what keeps one from coming stands there instead."""
        with self._turn:
            if self._closed or self._all_taken:
                return None
            line = _Line()
            part: Iterator[bytes] | None = None
            try:
                part = next(self._parts, None)
            except Exception as error:
                line.error = error
            with self._changed:
                self._all_taken = line.ended = part is None
                if part is not None or line.error is not None:
                    self._lines.append(line)
                self._changed.notify_all()
            return None if part is None else (line, part)

    def _put(self, line: _Line, piece: bytes) -> bool:
        """Adds a piece as soon as there is room; False: nobody wants it any more.

        There is always room for what the reader waits for, so nothing waits for ever.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: (
                    self._closed
                    or self._waiting + len(piece) <= _MEMORY_OF_PIECES
                    or (line is self._lines[0] and not line.pieces)
                )
            )
            line.pieces.append(piece)
            self._waiting += len(piece)
            self._changed.notify_all()
            return not self._closed

    def _end(self, line: _Line, error: Exception | None) -> None:
        with self._changed:
            line.ended, line.error = True, error
            self._changed.notify_all()

    def _first_line(self) -> _Line | None:
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._all_taken)
            return self._lines[0] if self._lines else None

    def _next_piece(self, line: _Line) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: line.pieces or line.ended)
            if not line.pieces:
                return None
            piece = line.pieces.popleft()
            self._waiting -= len(piece)
            self._changed.notify_all()
            return piece
