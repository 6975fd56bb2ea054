"""makedumpfile's flattened form (`-F`, and QEMU's kdump): a stream of (offset, size, bytes).

Read in place.  The stream is indexed as far as is needed: identity lies at its beginning.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.mapped import truncated
from kernsym.distros import Unusable

MAGIC = b"makedumpfile\0"

_HEADER_SIZE = 4096  # MAX_SIZE_MDF_HEADER
_RECORD = struct.Struct(">qq")
_END = _RECORD.pack(-1, -1)
_TYPE_FLAT, _VERSION_FLAT = 1, 1
_STEP = 256  # records indexed at a time, then half as many as there are
_MOST_RECORDS = 5_000_000  # of 16 KiB as a rule; 24 bytes of index each
_MOST_STRANDS = 64


class _Strand:
    """Records whose offsets ascend without overlap, in the order of the stream."""

    __slots__ = ("offsets", "positions", "sizes")

    def __init__(self) -> None:
        self.offsets = array("Q")
        self.positions = array("Q")
        self.sizes = array("Q")

    @property
    def end(self) -> int:
        return self.offsets[-1] + self.sizes[-1] if self.offsets else 0

    def overlaps(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """The records that touch [start, stop), as (position in the stream, offset, size)."""
        at = max(bisect_right(self.offsets, start) - 1, 0)
        while at < len(self.offsets) and self.offsets[at] < stop:
            if self.offsets[at] + self.sizes[at] > start:
                yield self.positions[at], self.offsets[at], self.sizes[at]
            at += 1


class FlattenedContent:
    """What the stream in `wrapped` would be once written out (`makedumpfile -R`).

    Raises `Unusable` (`dump-damaged`, `dump-truncated`).
    """

    concurrent = False  # reading goes on with the index

    def __init__(self, wrapped: Content) -> None:
        self.path = wrapped.path
        self._wrapped = wrapped
        if wrapped.size < _HEADER_SIZE:
            raise truncated(wrapped.path, wrapped.size, _HEADER_SIZE - wrapped.size)
        kind, version = _RECORD.unpack(wrapped.read(16, 16))
        if kind != _TYPE_FLAT or version != _VERSION_FLAT:
            raise Unusable(
                "dump-damaged",
                f"{wrapped.path} is flattened in an unknown way: type {kind}, version {version}",
                hint="put it together with `makedumpfile -R FILE < DUMP`",
            )
        # Writers interleave a few ascending parts (bitmaps, descriptors, pages): a strand each.
        self._strands = [_Strand()]
        self._records = 0
        # Dumps have few holes; without a bound a broken offset makes endless zeros to search.
        self._furthest = 4 * wrapped.size + (64 << 20)
        self._position = _HEADER_SIZE
        self._indexed = False
        tail = wrapped.read(max(wrapped.size - len(_END), 0), len(_END))
        self.missing = 0 if tail == _END else len(_END)

    @property
    def size(self) -> int:
        """The content's end as far as it is known, and never less than what is left to index."""
        return max(self._wrapped.size, *(strand.end for strand in self._strands))

    def read(self, offset: int, size: int) -> bytes:
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        data = bytearray(size)
        return bytes(data[: self.read_into(offset, memoryview(data))])

    def read_into(self, offset: int, target: memoryview) -> int:
        stop = min(offset + len(target), self.size)
        if offset < 0 or offset >= stop:
            return 0
        target[: stop - offset] = bytes(stop - offset)
        # In the stream's order: what is written twice is as it was written last.
        for position, first, size in sorted(self._covering(offset, stop)):
            low, high = max(first, offset), min(first + size, stop)
            self._wrapped.read_into(position + low - first, target[low - offset : high - offset])
        return stop - offset

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        if start < min(stop, self.size):
            yield start, min(stop, self.size)

    def close(self) -> None:
        self._wrapped.close()

    def _covering(self, start: int, stop: int) -> list[tuple[int, int, int]]:
        """The records of [start, stop); indexes on until they cover it or the stream ends."""
        while True:
            found = [record for strand in self._strands for record in strand.overlaps(start, stop)]
            if self._indexed or _covered(found, start, stop):
                return found
            self._index(max(_STEP, self._records // 2))

    def _index(self, count: int) -> None:
        """Go through `count` more records."""
        for _ in range(count):
            header = self._wrapped.read(self._position, _RECORD.size)
            if len(header) < _RECORD.size or header == _END:
                self._indexed = True
                return
            offset, size = _RECORD.unpack(header)
            if offset < 0 or size <= 0 or offset + size > self._furthest:
                raise self._damaged(f"a record of {size} bytes for offset {offset}")
            self._add(offset, self._position + _RECORD.size, size)
            self._position += _RECORD.size + size

    def _add(self, offset: int, position: int, size: int) -> None:
        fitting = [strand for strand in self._strands if strand.end <= offset]
        if fitting:
            strand = max(fitting, key=lambda s: s.end)
        else:
            strand = _Strand()
            self._strands.append(strand)
        self._records += 1
        if len(self._strands) > _MOST_STRANDS or self._records > _MOST_RECORDS:
            raise self._damaged("its records are too many or in no order")
        strand.offsets.append(offset)
        strand.positions.append(position)
        strand.sizes.append(size)

    def _damaged(self, reason: str) -> Unusable:
        return Unusable(
            "dump-damaged",
            f"the flattened dump {self.path} cannot be followed: {reason}",
            context=(f"at byte {self._position}",),
            hint="copy it again, or put it together with `makedumpfile -R FILE < DUMP`",
        )


def _covered(records: list[tuple[int, int, int]], start: int, stop: int) -> bool:
    for _, offset, size in sorted(records, key=lambda record: record[1]):
        if offset > start:
            return False
        start = max(start, offset + size)
    return start >= stop
