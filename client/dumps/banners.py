"""Judges what looks like a kernel's banner in memory: pure functions over sightings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from kernsym.distros import find_banner

MARK = b"Linux version "
LONGEST = 1024

_NOT_TEXT = re.compile(rb"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Sighting:
    """A banner at a physical address.

    `text` reaches to the first byte that is not text.  `closed`: newline and NUL follow, as only
    `linux_banner` itself has it (init/version.c).  `fault`: why it is no kernel's banner, or "".
    """

    address: int
    text: str
    closed: bool
    fault: str

    @property
    def whole(self) -> bool:
        return self.closed and not self.fault


def sighting(address: int, data: bytes) -> Sighting:
    """What stands at `address`, `data` beginning with the mark and reaching `LONGEST` bytes on."""
    end = _NOT_TEXT.search(data)
    stop = end.start() if end else len(data)
    text = data[:stop].decode("ascii")
    closed = data[stop : stop + 2] == b"\n\0"
    if end is None:
        return Sighting(address, text, False, "it has no end")
    return Sighting(address, text, closed, _fault(text))


def _fault(text: str) -> str:
    if "%" in text:
        return "a format string"
    banner = find_banner(text)
    if banner is None:
        return "no release number follows"
    if not banner.builder or not banner.compiler:
        return "builder or compiler is missing"
    return "" if banner.complete else "no build number (#…)"


@dataclass(frozen=True, slots=True)
class Choice:
    """The banner chosen, or None: there is none, or `rivals` are even.

    `rejected`: the other texts, each with the reason.
    """

    chosen: Sighting | None
    rivals: tuple[str, ...] = ()
    rejected: tuple[tuple[str, str], ...] = ()


def choose(sightings: Iterable[Sighting], release: str | None = None) -> Choice:
    """One banner of all that were seen.

    Those that contradict the `release` of VMCOREINFO or utsname go; then those of the kernel's
    own shape outrank copies in logs, and the most frequent text wins.
    """
    rejected: dict[str, str] = {}
    standing: list[Sighting] = []
    for seen in sightings:
        reason = seen.fault or _contradiction(seen.text, release)
        if reason:
            rejected.setdefault(seen.text, reason)
        else:
            standing.append(seen)
    closed = [seen for seen in standing if seen.closed]
    votes = Counter(seen.text for seen in closed or standing)
    if not votes:
        return Choice(None, (), tuple(rejected.items()))
    best, most = votes.most_common(1)[0]
    rivals = sorted(text for text, count in votes.items() if count == most)
    if not closed:
        # Copies in logs: what stands behind the text differs, so the shared part is the banner.
        best = min(rivals, key=len)
        rivals = [text for text in rivals if not text.startswith(best)] + [best]
    if len(rivals) > 1:
        return Choice(None, tuple(rivals), tuple(rejected.items()))
    for seen in standing:
        if seen.text != best:
            reason = "not as the kernel holds it" if closed and not seen.closed else "outvoted"
            rejected.setdefault(seen.text, reason)
    chosen = next(seen for seen in closed or standing if seen.text == best)
    return Choice(chosen, (), tuple(rejected.items()))


def _contradiction(text: str, release: str | None) -> str:
    banner = find_banner(text)
    if release is None or (banner is not None and banner.release == release):
        return ""
    return f"VMCOREINFO or utsname say {release}"
