"""Dumps that store memory as it is: physical addresses mapped to offsets in the file."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.reader import Headers, Segment
from kernsym.distros import Unusable

CHUNK = 1 << 20  # fits a second-level cache, so that searching what was read costs little


@dataclass(frozen=True, slots=True)
class Extent:
    """`size` bytes of physical memory from `address` on, stored at `offset`."""

    address: int
    size: int
    offset: int


class MappedDump:
    """Memory that lies in the file uncompressed; ELF, VMware and raw dumps differ in the map.

    `content` holds the extents' bytes; `covered` are the segments that the headers describe, of
    which the extents store a part (the rest reads as zeros).
    """

    def __init__(
        self,
        content: Content,
        *,
        path: Path,
        format: str,
        headers: Headers,
        extents: Iterable[Extent],
        covered: Iterable[Segment] = (),
    ) -> None:
        self.path = path
        self.format = format
        self._content = content
        self._extents = disjoint(extents)
        self._addresses = [extent.address for extent in self._extents]
        stored = (Segment(address=e.address, size=e.size) for e in self._extents)
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

    def chunks(self) -> Iterator[tuple[int, memoryview]]:
        buffer = memoryview(bytearray(CHUNK))
        for extent in self._extents:
            end = extent.offset + extent.size
            for start, stop in self._content.stretches(extent.offset, end):
                for offset in range(start, stop, CHUNK):
                    piece = buffer[: min(CHUNK, stop - offset)]
                    got = self._content.read_into(offset, piece)
                    if got:
                        yield extent.address + offset - extent.offset, piece[:got]

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
    covered = 0
    for extent in sorted(extents, key=lambda e: e.address):
        end = extent.address + extent.size
        if end <= covered:
            continue
        skip = max(0, covered - extent.address)
        address, offset = extent.address + skip, extent.offset + skip
        last = result[-1] if result else None
        if (
            last is not None
            and last.address + last.size == address
            and last.offset + last.size == offset
        ):
            result[-1] = Extent(last.address, last.size + end - address, last.offset)
        else:
            result.append(Extent(address, end - address, offset))
        covered = end
    return result


def join(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    """The segments ascending, those that touch or overlap made one."""
    result: list[Segment] = []
    for segment in sorted(segments, key=lambda s: s.address):
        end = segment.address + segment.size
        if result and segment.address <= result[-1].address + result[-1].size:
            first = result[-1].address
            size = max(result[-1].size, end - first)
            result[-1] = Segment(address=first, size=size)
        else:
            result.append(segment)
    return tuple(result)
