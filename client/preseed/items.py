"""One kernel's part of a preseed: what is known of it, and what became of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kernsym.cache.messages import Part
from kernsym.client import exits
from kernsym.client.preseed.entries import BadLine
from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    Kernel,
    KernsymError,
    NotIdentified,
    NotPublished,
    PackageRef,
    Refused,
)


class State(str, enum.Enum):
    """What became of it; the values are what `--json` and JUnit say."""

    HELD = "held"
    PLANNED = "planned"
    FETCHED = "fetched"
    LEFT = "left"  # the budget ended before it was there: the next run goes on
    UNPUBLISHED = "unpublished"
    UNKNOWN = "unknown"  # could not find out
    UNIDENTIFIED = "unidentified"
    REFUSED = "refused"
    FAULT = "fault"


_STATE_OF_KIND = (
    (NotIdentified, State.UNIDENTIFIED),
    (NotPublished, State.UNPUBLISHED),
    (CouldNotFindOut, State.UNKNOWN),
    (Refused, State.REFUSED),
)
# The gravest first: of a run with several, this one's status is the command's.
_STATUSES = (
    (State.FAULT, exits.FAULT),
    (State.REFUSED, exits.REFUSED),
    (State.UNKNOWN, exits.COULD_NOT_FIND_OUT),
    (State.LEFT, exits.COULD_NOT_FIND_OUT),
    (State.UNIDENTIFIED, exits.NOT_IDENTIFIED),
    (State.UNPUBLISHED, exits.NOT_PUBLISHED),
)
_MISSING = (State.UNIDENTIFIED, State.UNPUBLISHED)

# What is kept of a byte of package: the package and vmlinux; all modules; a source tree, whose
# package is not kept.  Of Debian's 6.1.
_SYMBOLS, _ALL_MODULES, _SOURCES = 1.75, 7.0, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """`asked`: what the list says, for people; `where` it says so; `count`: on how many machines.

    `fingerprint`: what its symbols are asked for with; `series` as of the list's entry.
    `packages`: that would be fetched first, or that it came from.  `seconds` and `downloaded`
    (bytes) of this run.
    """

    asked: str
    where: tuple[str, ...]
    count: int
    fingerprint: Fingerprint
    state: State
    part: Part = Part.SYMBOLS
    series: str = ""
    kernel: Kernel | None = None
    packages: tuple[PackageRef, ...] = ()
    all_modules: bool = False
    problem: KernsymError | None = None
    seconds: float = 0.0
    downloaded: int = 0

    @property
    def name(self) -> str:
        """The kernel's key where it is known, else what was asked."""
        name = self.kernel.key if self.kernel else self.asked
        return f"{name} sources" if self.part is Part.SOURCES else name

    @property
    def fetch_bytes(self) -> int:
        """What has to be downloaded, as far as the sources state it."""
        if self.state not in (State.PLANNED, State.LEFT):
            return 0
        return sum(file.size or 0 for ref in self.packages for file in ref.files)

    @property
    def keep_bytes(self) -> int:
        """About what it will take on the disk."""
        if self.part is Part.SOURCES:
            return int(self.fetch_bytes * _SOURCES)
        return int(self.fetch_bytes * (_ALL_MODULES if self.all_modules else _SYMBOLS))


def state_of(error: KernsymError) -> State:
    """What an error makes of a kernel."""
    kinds = (state for kind, state in _STATE_OF_KIND if isinstance(error, kind))
    return next(kinds, State.FAULT)


def exit_status(items: list[Item], bad: list[BadLine], *, allow_missing: bool = False) -> int:
    """The status of a run: the gravest of what became of its kernels.

    `allow_missing`: what nobody publishes, or is no published kernel, is no failure.
    """
    states = {item.state for item in items}
    if bad:
        states.add(State.UNIDENTIFIED)
    if allow_missing:
        states -= set(_MISSING)
    return next((status for state, status in _STATUSES if state in states), exits.DONE)
