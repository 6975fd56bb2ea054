"""Searches all of a dump's memory for kernel banners and VMCOREINFO."""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from kernsym.client.dumps import vmcoreinfo
from kernsym.client.dumps.banners import LONGEST, MARK, Sighting, sighting
from kernsym.client.dumps.reader import DumpReader, Segment
from kernsym.client.dumps.search import find_all
from kernsym.client.dumps.vmcoreinfo import VmcoreInfo
from kernsym.distros import Unusable

Progress = Callable[[int, int], None]
Confirm = Callable[[VmcoreInfo], Sighting | None]

# Memory holds tens of marks and a few kernels; a file made to stall us holds millions.
_MOST_HITS = 10_000
_MOST_INFOS = 64


@dataclass(slots=True)
class Findings:
    """What a scan saw.  `confirmed`: the VMCOREINFO and the banner that lies where it says."""

    sightings: list[Sighting] = field(default_factory=list)
    infos: list[VmcoreInfo] = field(default_factory=list)
    confirmed: tuple[VmcoreInfo, Sighting] | None = None


def scan(reader: DumpReader, confirm: Confirm, on_progress: Progress | None = None) -> Findings:
    """Everything to the end of memory, or to the first VMCOREINFO that `confirm` finds true.

    Stopping earlier is not safe: guests, earlier boots and logs leave other kernels' banners.
    `on_progress(done, total)` in bytes of memory.
    """
    findings = Findings()
    done = _progress(reader.segments())
    for address, needle, data in _hits(reader, done, on_progress):
        if needle is MARK:
            findings.sightings.append(sighting(address, data))
            continue
        info = vmcoreinfo.parse(data)
        if info is None or len(findings.infos) >= _MOST_INFOS:
            continue
        known = any(info.text == other.text for other in findings.infos)
        findings.infos.append(info)
        banner = None if known else confirm(info)
        if banner is not None:
            findings.confirmed = (info, banner)
            break
    return findings


def _hits(
    reader: DumpReader, done: Callable[[int], tuple[int, int]], on_progress: Progress | None
) -> Iterator[tuple[int, bytes, bytes]]:
    """Each place of a mark: physical address, the mark, the bytes from there on."""
    reach = {MARK: LONGEST, vmcoreinfo.START: vmcoreinfo.LIMIT}
    left = dict.fromkeys(reach, _MOST_HITS)
    longest = max(map(len, reach))
    end, tail = -1, b""
    for address, view in reader.chunks():
        if end != address:
            tail = b""
        for needle, size in reach.items():
            # It may lie across the border of two pieces.
            before = tail[-(len(needle) - 1) :]
            seam = memoryview(bytearray(before + view[: len(needle) - 1]))
            for start, part in ((address - len(before), seam), (address, view)):
                for at in itertools.islice(find_all(part, needle), left[needle]):
                    left[needle] -= 1
                    yield start + at, needle, _bytes_at(reader, start, part, at, size)
        end = address + len(view)
        tail = (tail + view[-(longest - 1) :])[-(longest - 1) :]
        if on_progress is not None:
            on_progress(*done(end))


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
