"""Searches all of a dump's memory for kernel banners and VMCOREINFO."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from kernsym.client.dumps import vmcoreinfo
from kernsym.client.dumps.banners import LONGEST, MARK, Sighting, sighting
from kernsym.client.dumps.mapped import CHUNK
from kernsym.client.dumps.reader import Chunks, DumpReader, Segment
from kernsym.client.dumps.search import find_all
from kernsym.client.dumps.vmcoreinfo import VmcoreInfo
from kernsym.distros import Unusable

Progress = Callable[[int, int], None]
Mark = tuple[int, bytes]  # the address of what may be a banner or VMCOREINFO, and bytes from there
Confirm = Callable[[VmcoreInfo], Sighting | None]

# Memory holds tens of marks and a few kernels; a file made to stall us holds millions.
_MOST_BANNERS = 10_000
_MOST_INFOS = 64
_MOST_IMAGES = 4

# VMCOREINFO begins a page, its note too, behind the note's header (12 bytes, "VMCOREINFO", 2).
_PAGE = 4096
_IN_PAGE = (0, 24)
# Until 4.13 it was a variable of the kernel, so it lies in the image, as the banner does.
_IMAGE_BEFORE, _IMAGE_BEHIND = 16 << 20, 96 << 20


@dataclass(slots=True)
class Findings:
    """What a scan saw.  `confirmed`: the VMCOREINFO and the banner that lies where it says."""

    sightings: list[Sighting] = field(default_factory=list)
    infos: list[VmcoreInfo] = field(default_factory=list)
    confirmed: tuple[VmcoreInfo, Sighting] | None = None

    def take(self, data: bytes, confirm: Confirm) -> bool:
        """Note the VMCOREINFO in `data`, if it is one; whether it is confirmed."""
        info = vmcoreinfo.parse(data)
        if info is None or len(self.infos) >= _MOST_INFOS:
            return False
        known = any(info.text == other.text for other in self.infos)
        self.infos.append(info)
        banner = None if known else confirm(info)
        if banner is not None:
            self.confirmed = (info, banner)
        return banner is not None


def scan(reader: DumpReader, confirm: Confirm, on_progress: Progress | None = None) -> Findings:
    """Everything to the end of memory, or to the first VMCOREINFO that `confirm` finds true.

    Stopping earlier is not safe: guests, earlier boots and logs leave other kernels' banners.
    `on_progress(done, total)` in bytes of memory.
    """
    findings = Findings()
    for address, data in _marks(reader, on_progress):
        if data.startswith(MARK):
            findings.sightings.append(sighting(address, data))
        elif findings.take(data, confirm):
            return findings
    if not findings.infos:
        images = [seen.address for seen in findings.sightings if seen.whole]
        for address in images[:_MOST_IMAGES]:
            if any(findings.take(data, confirm) for data in _infos_near(reader, address)):
                break
    return findings


def _marks(reader: DumpReader, on_progress: Progress | None) -> Iterator[Mark]:
    """All marks in order."""
    done = _progress(reader.segments())
    left = _MOST_BANNERS
    with contextlib.closing(_searched(reader)) as parts:
        for end, marks in parts:
            for address, data in marks:
                left -= data.startswith(MARK)
                if left >= 0 or not data.startswith(MARK):
                    yield address, data
            if on_progress is not None:
                on_progress(*done(end))


def _searched(reader: DumpReader) -> Generator[tuple[int, list[Mark]], None, None]:
    """The end and the marks of each part of memory in order; several are searched at once."""
    search = functools.partial(_search, reader)
    threads = len(os.sched_getaffinity(0)) if reader.concurrent else 1
    if threads == 1:
        yield from map(search, reader.parts())
        return
    with ThreadPoolExecutor(threads, "scan") as pool:
        waiting: deque[Future[tuple[int, list[Mark]]]] = deque()
        try:
            for part in reader.parts():
                waiting.append(pool.submit(search, part))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def _search(reader: DumpReader, part: Chunks) -> tuple[int, list[Mark]]:
    """Each place of a banner or, at the likely places, of VMCOREINFO."""
    marks: list[Mark] = []
    banners, infos = _MOST_BANNERS, _MOST_INFOS
    end, tail = -1, b""
    for address, view in part:
        # A mark may lie across the border of two pieces, or of two parts.
        before = tail if end == address else b"" if end >= 0 else _before(reader, address)
        seam = memoryview(bytearray(before + view[: len(MARK) - 1]))
        for start, piece in ((address - len(before), seam), (address, view)):
            for at in itertools.islice(find_all(piece, MARK), banners):
                banners -= 1
                marks.append((start + at, _bytes_at(reader, start, piece, at, LONGEST)))
        for place in _IN_PAGE:
            for at in itertools.islice(_page_starts(view, (place - address) % _PAGE), infos):
                infos -= 1
                found = _bytes_at(reader, address, view, at, vmcoreinfo.LIMIT)
                marks.append((address + at, found))
        end = address + len(view)
        tail = (before + view[-(len(MARK) - 1) :])[-(len(MARK) - 1) :]
    return end, marks


def _before(reader: DumpReader, address: int) -> bytes:
    """The bytes before a part, as many as a mark can have there."""
    size = min(address, len(MARK) - 1)
    try:
        return reader.read(address - size, size)
    except Unusable:
        return b""


def _page_starts(view: memoryview, first: int) -> Iterator[int]:
    """Offsets in `view`, `first` and a multiple of pages, where VMCOREINFO seems to begin."""
    letters = bytes(view[first::_PAGE])
    number = letters.find(vmcoreinfo.START[:1])
    while number >= 0:
        at = first + number * _PAGE
        # Cut off at the end of the piece, it is still a beginning.
        if vmcoreinfo.START.startswith(bytes(view[at : at + len(vmcoreinfo.START)])):
            yield at
        number = letters.find(vmcoreinfo.START[:1], number + 1)


def _infos_near(reader: DumpReader, address: int) -> Iterator[bytes]:
    """What may be VMCOREINFO in the image around its banner."""
    for start in range(max(address - _IMAGE_BEFORE, 0), address + _IMAGE_BEHIND, CHUNK):
        try:
            data = reader.read(start, CHUNK + vmcoreinfo.LIMIT)
        except Unusable:
            continue
        at = data.find(vmcoreinfo.START, 0, CHUNK + len(vmcoreinfo.START) - 1)
        while at >= 0:
            yield data[at : at + vmcoreinfo.LIMIT]
            at = data.find(vmcoreinfo.START, at + 1, CHUNK + len(vmcoreinfo.START) - 1)


def _bytes_at(reader: DumpReader, start: int, view: memoryview, at: int, size: int) -> bytes:
    """`size` bytes from a hit on: of the piece where it has them, else read again."""
    if at + size <= len(view):
        return bytes(view[at : at + size])
    try:
        return reader.read(start + at, size)
    except Unusable:  # the dump is cut off right behind
        return bytes(view[at:])


def _progress(segments: tuple[Segment, ...]) -> Callable[[int], tuple[int, int]]:
    """A function from an address reached to (bytes of memory up to there, all bytes)."""
    starts = [segment.address for segment in segments]
    before = [0, *itertools.accumulate(segment.size for segment in segments)]

    def reached(address: int) -> tuple[int, int]:
        at = bisect_right(starts, address) - 1
        if at < 0:
            return 0, before[-1]
        inside = min(address - starts[at], segments[at].size)
        return before[at] + inside, before[-1]

    return reached
