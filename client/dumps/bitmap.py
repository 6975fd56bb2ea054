"""A bitmap in a file: is a bit set, how many are set before it, which runs are there."""

from __future__ import annotations

import functools
from collections.abc import Iterator

from kernsym.client.dumps.content import Content

_BLOCK = 4096  # bytes; 32768 page frames
_NONE = bytes(_BLOCK)
_ALL = b"\xff" * _BLOCK


class Bitmap:
    """Bit `n` is bit `n % 8` of byte `n // 8` at `offset`; `size` in bits.

    Read block by block as it is needed: a terabyte's bitmap has 32 MB.
    """

    def __init__(self, content: Content, offset: int, size: int) -> None:
        self._content = content
        self._offset = offset
        # What is cut off counts as not set, and a hostile size costs no time.
        self._size = min(size, max(content.size - offset, 0) * 8)
        self._counts = [0]  # bits set before each block, as far as it was asked
        self._block = functools.lru_cache(maxsize=64)(self._read_block)

    def has(self, bit: int) -> bool:
        if bit >= self._size:
            return False
        block, at = divmod(bit // 8, _BLOCK)
        return bool(self._block(block)[at] >> (bit % 8) & 1)

    def rank(self, bit: int) -> int:
        """How many bits are set before `bit`."""
        bit = min(bit, self._size)
        block, at = divmod(bit // 8, _BLOCK)
        while len(self._counts) <= block:
            last = self._read_block(len(self._counts) - 1)
            self._counts.append(self._counts[-1] + _count(last))
        data = self._block(block)
        return self._counts[block] + _count(data[:at]) + _count(data[at : at + 1], bit % 8)

    def runs(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """The runs of set bits in [first, stop), as (first, one past the last)."""
        stop = min(stop, self._size)
        start, known = None, 0
        for number in range(first // 8 // _BLOCK, (max(stop, first) + 7) // 8 // _BLOCK + 1):
            base = number * _BLOCK * 8
            for begin, end in _runs(self._read_block(number)):
                low, high = max(base + begin, first), min(base + end, stop)
                if low >= high:
                    continue
                if start is not None and low == known:
                    known = high
                    continue
                if start is not None:
                    yield start, known
                start, known = low, high
        if start is not None:
            yield start, known

    def _read_block(self, number: int) -> bytes:
        """A block; zeros behind the bitmap's end and the file's."""
        size = min(_BLOCK, (self._size + 7) // 8 - number * _BLOCK)
        data = self._content.read(self._offset + number * _BLOCK, size) if size > 0 else b""
        return data.ljust(_BLOCK, b"\0")


def _count(data: bytes, bits: int | None = None) -> int:
    """The number of set bits in `data`, or in its lowest `bits`."""
    value = int.from_bytes(data, "little")
    return (value if bits is None else value & ((1 << bits) - 1)).bit_count()


def _runs(data: bytes) -> Iterator[tuple[int, int]]:
    """The runs of ones in `data`, from the lowest bit of its first byte."""
    if data in (_NONE, _ALL):  # most blocks are
        yield from [(0, len(data) * 8)] if data == _ALL else []
        return
    base, value = 0, int.from_bytes(data, "little")
    while value:
        zeros = (value & -value).bit_length() - 1
        value >>= zeros
        ones = (~value & (value + 1)).bit_length() - 1
        yield base + zeros, base + zeros + ones
        value >>= ones
        base += zeros + ones
