"""What a list asks for: a kernel as one of its lines shows it, and how many machines run it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from kernsym.distros import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`where`: file and line, for people; of merged ones that of the first.  `text`: what it says.
    `series`: the release of the distribution, "" unsaid.  `dump`: the path of a dump to be read;
    `fingerprint` is then empty."""

    where: str
    text: str
    fingerprint: Fingerprint
    count: int = 1
    series: str = ""
    dump: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BadLine:
    """A line that says nothing that can be understood, and why."""

    where: str
    text: str
    reason: str


Found = Entry | BadLine


def merge(entries: Iterable[Entry]) -> list[Entry]:
    """Equal ones once, their counts summed; the most used first, else in their order."""
    merged: dict[tuple[Fingerprint, str, str], Entry] = {}
    for entry in entries:
        key = entry.fingerprint, entry.series, entry.dump
        first = merged.get(key)
        merged[key] = replace(first, count=first.count + entry.count) if first else entry
    return sorted(merged.values(), key=lambda entry: -entry.count)
