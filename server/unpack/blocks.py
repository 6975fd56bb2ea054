"""Unpacks the independent blocks of an xz stream: one alone, or several at once in threads.

liblzma lets go of the interpreter while it works, so threads are as good as processes here.
"""

from __future__ import annotations

import contextlib
import lzma
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.deb import Payload, corrupt
from kernsym.server.unpack.xz import Block, first_block, read_index, walk

_LARGEST_DICTIONARY = 64 << 20  # bytes: that of `xz -9`
_MOST_MEMORY = _LARGEST_DICTIONARY + (4 << 20)  # of one decoder
_MEMORY_OF_DECODERS = 2 * _LARGEST_DICTIONARY
_MEMORY_OF_PIECES = 64 << 20  # unpacked ahead of the reader
_PIECE = 1 << 20
_INPUT = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The blocks of a payload in order, and how many threads may unpack them at once."""

    blocks: Iterable[Block]
    threads: int


def find_blocks(package: ByteSource, payload: Payload, *, by_index: bool = False) -> Blocks | None:
    """The blocks of a payload, when each can be unpacked alone.

    They tell their sizes when threads packed them, and are found while the package comes; else the
    index at its end does.  `by_index`: nothing else is asked, so that little is read for it.
    Raises `Refused` (`package-corrupt`).
    """
    first = first_block(package, payload.offset) if payload.filter == "xz" else None
    if first is None or first.dictionary > _LARGEST_DICTIONARY:
        return None
    whole = package.whole()
    end = whole if payload.size is None else payload.offset + payload.size
    blocks: Iterable[Block] | None = None
    if first.tells_sizes and not by_index:
        blocks = walk(package, payload.offset, end)
    elif end is not None and whole is not None and end <= whole:
        blocks = read_index(package, payload.offset, end)
    return Blocks(blocks=blocks, threads=_threads_for(first.dictionary)) if blocks else None


def _threads_for(dictionary: int) -> int:
    """How many decoders with a dictionary of so many bytes there is room for."""
    return max(1, min(len(os.sched_getaffinity(0)), _MEMORY_OF_DECODERS // dictionary))


def unpacked(package: ByteSource, block: Block) -> Iterator[bytes]:
    """What a block unpacks to, in pieces.  Raises `Refused` (`package-corrupt`), also where the
    block's sizes are not those that were claimed, and what kept it from coming."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    size = 0
    try:
        for packed in _as_stream(package, block):
            piece = decoder.decompress(packed, _PIECE)
            while piece:
                size += len(piece)
                if size > block.unpacked:
                    raise corrupt(f"an xz block unpacks to more than its {block.unpacked} bytes")
                yield piece
                piece = b"" if decoder.needs_input else decoder.decompress(b"", _PIECE)
    except (lzma.LZMAError, EOFError) as error:
        raise corrupt(f"an xz block at offset {block.offset} is damaged: {error}") from error
    if not decoder.eof or decoder.unused_data:
        raise corrupt(f"an xz block at offset {block.offset} is not as long as it claims")


def _as_stream(package: ByteSource, block: Block) -> Iterator[bytes]:
    """A stream of this block alone: liblzma then compares the block with what is claimed of it."""
    yield block.opening
    for offset in range(block.offset, block.end, _INPUT):
        data = package.read_at(offset, min(_INPUT, block.end - offset))
        if not data:
            raise corrupt("it ends before its payload does")
        yield data
    yield block.closing


@contextlib.contextmanager
def unpacked_in_order(package: ByteSource, found: Blocks) -> Iterator[Iterator[bytes]]:
    """What the blocks unpack to, one after the other, while several are being unpacked.

    Memory stays flat: the decoders wait where they are too far ahead of the reader.  An error
    comes out where the bytes would have, and ends the stream.
    """
    work = _Work(package, found.blocks)
    with ThreadPoolExecutor(found.threads, "blocks") as decoders:
        for _ in range(found.threads):
            decoders.submit(work.run)
        try:
            yield work.pieces()
        finally:
            work.close()


class _Line:
    """The pieces of one block that wait for the reader."""

    def __init__(self) -> None:
        self.pieces: deque[bytes] = deque()
        self.ended = False
        self.error: Exception | None = None


class _Work:
    """The blocks that are being unpacked, shared by the decoders and the reader."""

    def __init__(self, package: ByteSource, blocks: Iterable[Block]) -> None:
        self._package = package
        self._blocks = iter(blocks)
        self._turn = threading.Lock()  # to take the next block, which may have to come first
        self._changed = threading.Condition()
        self._lines: deque[_Line] = deque()  # in the order of the blocks
        self._waiting = 0  # bytes in all lines
        self._all_taken = False
        self._closed = False

    def run(self) -> None:
        """What a decoder does: block after block."""
        while (taken := self._take()) is not None:
            line, block = taken
            try:
                for piece in unpacked(self._package, block):
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

    def _take(self) -> tuple[_Line, Block] | None:
        """The next block and its place in line; what keeps one from coming stands there instead."""
        with self._turn:
            if self._closed or self._all_taken:
                return None
            line = _Line()
            block: Block | None = None
            try:
                block = next(self._blocks, None)
            except Exception as error:
                line.error = error
            with self._changed:
                self._all_taken = line.ended = block is None
                if block is not None or line.error is not None:
                    self._lines.append(line)
                self._changed.notify_all()
            return None if block is None else (line, block)

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
