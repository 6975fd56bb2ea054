"""Dumps that store memory as it is: physical addresses mapped to offsets in the file."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.reader import Chunks, Headers, Segment
from kernsym.distros import Unusable

CHUNK = 1 << 20  # fits a second-level cache, so that searching what was read costs little
_PART = 16 << 20


class Extent(NamedTuple):
    """`size` bytes of physical memory from `address` on, stored at `offset`.

    A tuple, because a dump of a page table has a hundred thousand.
    """

    address: int
    size: int
    offset: int


class MappedDump:
    """Memory that lies in the file uncompressed; ELF, VMware and raw dumps differ in the map.

    `content` holds the extents' bytes; `covered` (address, size) is memory that the headers
    describe, of which the extents store a part (the rest reads as zeros).
    """

    def __init__(
        self,
        content: Content,
        *,
        path: Path,
        format: str,
        headers: Headers,
        extents: Iterable[Extent],
        covered: Iterable[tuple[int, int]] = (),
    ) -> None:
        self.path = path
        self.format = format
        self._content = content
        self.concurrent = content.concurrent
        self._extents = disjoint(extents)
        self._addresses = [extent.address for extent in self._extents]
        stored = ((extent.address, extent.size) for extent in self._extents)
        self._segments = join([*stored, *covered])
        missing = content.missing
        if missing is None:
            end = max((extent.offset + extent.size for extent in self._extents), default=0)
            missing = max(end - content.size, 0)
        self.headers = replace(headers, missing=missing)

    def segments(self) -> tuple[Segment, ...]:
        return self._segments

    def read(self, address: int, size: int) -> bytes:
        at = bisect.bisect_right(self._addresses, address) - 1
        if at >= 0:
            extent = self._extents[at]
            if address + size <= extent.address + extent.size:
                return self._stored(extent.offset + address - extent.address, size)
        return self._read_across(max(at, 0), address, size)

    def _read_across(self, at: int, address: int, size: int) -> bytes:
        result = bytearray(size)
        for extent in self._extents[at:]:
            if extent.address >= address + size:
                break
            start = max(address, extent.address)
            stop = min(address + size, extent.address + extent.size)
            if start < stop:
                data = self._stored(extent.offset + start - extent.address, stop - start)
                result[start - address : stop - address] = data
        return bytes(result)

    def _stored(self, offset: int, size: int) -> bytes:
        data = self._content.read(offset, size)
        if len(data) < size:
            raise truncated(self.path, self._content.size, offset + size - self._content.size)
        return data

    def parts(self) -> Iterator[Chunks]:
        part: list[Extent] = []
        size = 0
        for extent in self._extents:
            end = extent.offset + extent.size
            for start, stop in self._content.stretches(extent.offset, end):
                for offset in range(start, stop, _PART):
                    address = extent.address + offset - extent.offset
                    part.append(Extent(address, min(_PART, stop - offset), offset))
                    size += part[-1].size
                    if size >= _PART:
                        yield self._chunks(part)
                        part, size = [], 0
        yield self._chunks(part)

    def _chunks(self, part: list[Extent]) -> Chunks:
        buffer = memoryview(bytearray(CHUNK))
        for address, size, offset in part:
            for at in range(0, size, CHUNK):
                piece = buffer[: min(CHUNK, size - at)]
                got = self._content.read_into(offset + at, piece)
                if got:
                    yield address + at, piece[:got]

    def close(self) -> None:
        self._content.close()


def truncated(path: Path, size: int, missing: int) -> Unusable:
    """The error for a dump that ends before what its headers describe."""
    return Unusable(
        "dump-truncated",
        f"{path} is cut off: at least {missing} bytes are missing",
        context=(f"the file has {size} bytes",),
        hint="copy it again, and compare sizes; or dump again with enough free space",
    )


def disjoint(extents: Iterable[Extent]) -> list[Extent]:
    """The extents by address, joined where they continue each other, overlaps dropped.

    Dumps describe the same memory several times (the kernel's text and the direct mapping;
    every mapping of a page table); the bytes are the same.
    """
    result: list[Extent] = []
    covered = last_offset = 0
    for address, size, offset in sorted(extents):
        end = address + size
        if end <= covered:
            continue
        skip = max(0, covered - address)
        if result and skip + address == covered and offset + skip == last_offset:
            address, _, offset = result.pop()
            skip = 0
        result.append(Extent(address + skip, end - address - skip, offset + skip))
        covered, last_offset = end, offset + end - address
    return result


def join(ranges: Iterable[tuple[int, int]]) -> tuple[Segment, ...]:
    """The ranges (address, size) ascending, those that touch or overlap made one."""
    result: list[Segment] = []
    start = end = -1
    for address, size in sorted(ranges):
        if address > end:
            if end >= 0:
                result.append(Segment(address=start, size=end - start))
            start, end = address, address + size
        else:
            end = max(end, address + size)
    if end >= 0:
        result.append(Segment(address=start, size=end - start))
    return tuple(result)
