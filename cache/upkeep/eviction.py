"""What a store can give up, in which order, and why; pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kernsym.cache.upkeep.limits import Limits

_DAY_SECONDS = 86_400.0


class Step(enum.IntEnum):
    """What is given up before what: the cheapest to lose first."""

    PREPARED = 1  # made again from the files in seconds
    ENCODED = 2  # the same
    PACKAGES = 3  # kept only in case that further modules are wanted
    FOREIGN = 4  # what other debuginfod servers gave
    SOURCES = 5
    KERNEL = 6


WORDS = {
    Step.PREPARED: "prepared copy",
    Step.ENCODED: "compressed copies",
    Step.PACKAGES: "packages",
    Step.FOREIGN: "files of other servers",
    Step.SOURCES: "sources",
    Step.KERNEL: "kernel",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that could be removed.

    `key`: of its kernel, "" of none.  `size`: bytes on the disk.  `again`: bytes to download when
    it is wanted again.  `last_use` in seconds since the epoch.  `stays`: why it must stay, "" when
    nothing speaks for it.
    """

    step: Step
    size: int
    again: int
    last_use: float
    key: str = ""
    stays: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """`used`: bytes that the store takes; `free`: on its disk; `wanted`: that are to come."""

    used: int
    free: int
    wanted: int = 0

    def lacking(self, limits: Limits) -> tuple[int, str]:
        """How many bytes must go for the limits to hold, and why in words."""
        over, short = 0, 0
        if limits.max_size is not None:
            over = self.used + self.wanted - limits.max_size
        if limits.min_free is not None:
            short = limits.min_free + self.wanted - self.free
        coming = f" and {size_words(self.wanted)} are to come" if self.wanted else ""
        if over > 0 and over >= short:
            allowed = size_words(limits.max_size or 0)
            return over, f"the store takes {size_words(self.used)}{coming}, {allowed} are allowed"
        if short > 0:
            floor = size_words(limits.min_free or 0)
            return short, f"{size_words(self.free)} are free{coming}, {floor} shall stay free"
        return 0, ""


def in_order(candidates: Iterable[Candidate], now: float) -> list[Candidate]:
    """What to give up first: step by step; within a step what was not used for longest, weighed by
    how little has to be downloaded again for the room that it gives."""

    def worth(candidate: Candidate) -> float:
        idle = max(now - candidate.last_use, 1.0)
        return (candidate.again + 1) / max(candidate.size, 1) / idle

    return sorted(candidates, key=lambda one: (one.step, worth(one), one.key))


def too_old(
    candidates: Iterable[Candidate], limits: Limits, now: float
) -> Iterator[tuple[Candidate, str]]:
    """The kernels that nobody has used for longer than the limits allow, and why in words."""
    if limits.max_age is None:
        return
    for candidate in candidates:
        idle = now - candidate.last_use
        if candidate.step is Step.KERNEL and idle > limits.max_age:
            yield (
                candidate,
                f"not used for {age_words(idle)}, {age_words(limits.max_age)} are allowed",
            )


def price_words(candidate: Candidate, now: float) -> str:
    """What speaks for giving it up."""
    words = f"last used {age_words(now - candidate.last_use)} ago"
    if candidate.again:
        words += f", {size_words(candidate.again)} to download again"
    return words


def size_words(count: int) -> str:
    """
    >>> size_words(858_000_000), size_words(2_400_000_000)
    ('858 MB', '2.4 GB')
    """
    value = float(max(count, 0))
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def age_words(seconds: float) -> str:
    """
    >>> age_words(200_000), age_words(5_000), age_words(20)
    ('2 days', '83 minutes', 'a minute')
    """
    for unit, length in (("days", _DAY_SECONDS), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return "a minute"
