"""Unpacks the independent blocks of an xz stream: one alone, or several at once in threads."""

from __future__ import annotations

import contextlib
import itertools
import lzma
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.codecs.ahead import in_order
from kernsym.server.unpack.codecs.xz import Block, first_block, read_index, walk
from kernsym.server.unpack.packed import Payload, corrupt

_LARGEST_DICTIONARY = 64 << 20  # bytes: that of `xz -9`
_MOST_MEMORY = _LARGEST_DICTIONARY + (4 << 20)  # of one decoder
_MEMORY_OF_DECODERS = 2 * _LARGEST_DICTIONARY
_LEAST_BLOCKS = 8  # of fewer, one has too much of the archive to be unpacked for a single file
_PIECE = 1 << 20
_INPUT = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """The blocks of a payload in order, and how many threads may unpack them at once."""

    blocks: Iterable[Block]
    threads: int

    @property
    def are_entrances(self) -> bool:
        """Whether they are several, as far as that is known."""
        return not isinstance(self.blocks, list) or len(self.blocks) >= _LEAST_BLOCKS


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


def unpacked(package: ByteSource, block: Block, most: int = _PIECE) -> Iterator[bytes]:
    """What a block unpacks to, in pieces of at most so many bytes.

    Raises `Refused` (`package-corrupt`), also where the block's sizes are not those that were
    claimed, and what kept it from coming."""
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY)
    size = 0
    try:
        for packed in _as_stream(package, block):
            piece = decoder.decompress(packed, most)
            while piece:
                size += len(piece)
                if size > block.unpacked:
                    raise corrupt(f"an xz block unpacks to more than its {block.unpacked} bytes")
                yield piece
                piece = b"" if decoder.needs_input else decoder.decompress(b"", most)
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


def unpacked_in_order(
    package: ByteSource, found: Blocks
) -> AbstractContextManager[Iterator[bytes]]:
    """What the blocks unpack to, one after the other: `in_order`."""
    return in_order((unpacked(package, block) for block in found.blocks), found.threads)


class BlockEntrances:
    """A payload that can be entered at its blocks: `Entrances`."""

    def __init__(self, package: ByteSource, blocks: Sequence[Block], threads: int) -> None:
        self.package = package
        self.blocks = blocks
        self.threads = threads
        self.starts = tuple(
            itertools.accumulate((block.unpacked for block in blocks[:-1]), initial=0)
        )

    @contextlib.contextmanager
    def unpacked_from(self, number: int, *, together: bool) -> Iterator[Iterator[bytes]]:
        parts = (unpacked(self.package, block) for block in self.blocks[number:])
        if together:
            with in_order(parts, self.threads) as pieces:
                yield pieces
        else:
            yield itertools.chain.from_iterable(parts)


def find_entrances(package: ByteSource, payload: Payload) -> BlockEntrances | None:
    """The blocks of a payload that has come whole, if they are enough to be worth entering one.

    Raises `Refused` (`package-corrupt`).
    """
    come = package.whole() is not None
    found = find_blocks(package, payload, by_index=True) if come else None
    blocks = tuple(found.blocks) if found else ()
    if found is None or len(blocks) < _LEAST_BLOCKS:
        return None
    return BlockEntrances(package, blocks, found.threads)
