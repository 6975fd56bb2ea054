"""Gives up what a store has too much of: `kernsym gc`, and the server by itself."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from kernsym.cache.bundle import FileRole
from kernsym.cache.locks import Busy
from kernsym.cache.store import Store
from kernsym.cache.upkeep.eviction import (
    WORDS,
    Candidate,
    Step,
    in_order,
    price_words,
    size_words,
    too_old,
)
from kernsym.cache.upkeep.limits import Limits
from kernsym.cache.upkeep.survey import SIDE, Survey, is_in_use, survey
from kernsym.distros import KernsymError

_FRESH_SECONDS = 60.0  # a copy that is so new is just being made or sent


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectRequest:
    """Body of `POST /api/v1/gc`.  `limits`: those that are not null are taken in the place of the
    server's own."""

    plan: bool = False
    unpublished: bool = False
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What went, or would: a `kernel` or a part of it, in words; bytes; why."""

    kernel: str
    what: str
    size: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What would have had its turn, and why it stays."""

    kernel: str
    what: str
    size: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What came of it.  `used`, `free`: bytes before; `lacking`: bytes that the limits still lack,
    and `why` in words."""

    removed: tuple[Removed, ...]
    kept: tuple[Kept, ...]
    used: int
    free: int
    lacking: int = 0
    why: str = ""

    @property
    def freed(self) -> int:
        return sum(one.size for one in self.removed)


def collect(
    store: Store,
    limits: Limits,
    *,
    wanted: int = 0,
    unpublished: bool = False,
    plan: bool = False,
    sparing: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> Collected:
    """Remove what the limits do not allow, the cheapest to lose first.

    `wanted`: bytes that are to come beside what is there.  `unpublished`: also what nobody
    publishes any more.  `plan`: only say what would go.  `sparing`: the key of a kernel that stays.
    Raises `OSError` when the store cannot be looked through.
    """
    found = survey(store, unpublished=unpublished)
    found = replace(found, room=replace(found.room, wanted=wanted))
    return _Collection(store, limits, found, plan=plan, sparing=sparing).run(stop)


class _Collection:
    def __init__(
        self, store: Store, limits: Limits, found: Survey, *, plan: bool, sparing: str
    ) -> None:
        self._store = store
        self._limits = limits
        self._found = found
        self._plan = plan
        self._sparing = sparing
        self._now = time.time()
        self._removed: list[Removed] = []
        self._kept: list[Kept] = []
        self._parts: dict[str, int] = {}  # bytes of kernels that went already
        self._whole: set[str] = set()

    def run(self, stop: Callable[[], bool]) -> Collected:
        candidates = self._found.candidates
        for candidate, why in too_old(candidates, self._limits, self._now):
            self._give_up(candidate, why, candidate.size)
        for candidate in in_order(candidates, self._now):
            lacking, why = self._lacking()
            if not lacking or stop():
                break
            reason = f"{why}; {price_words(candidate, self._now)}" if candidate.key else why
            self._give_up(candidate, reason, lacking)
        lacking, why = self._lacking()
        return Collected(
            removed=tuple(self._removed),
            kept=tuple(self._kept),
            used=self._found.room.used,
            free=self._found.room.free,
            lacking=lacking,
            why=why,
        )

    def _lacking(self) -> tuple[int, str]:
        freed, room = sum(one.size for one in self._removed), self._found.room
        return replace(room, used=room.used - freed, free=room.free + freed).lacking(self._limits)

    def _give_up(self, candidate: Candidate, why: str, lacking: int) -> None:
        """Remove it, unless something speaks against it."""
        key, what = candidate.key, WORDS[candidate.step]
        if key in self._whole:
            return
        size = candidate.size
        if candidate.step is Step.KERNEL:
            size -= self._parts.get(key, 0)
        stays = candidate.stays or ("it is wanted just now" if key and key == self._sparing else "")
        if not stays:
            try:
                size = self._remove(candidate, size, lacking)
            except Busy:
                stays = "in use"
            except OSError as error:
                stays = f"it could not be removed: {error.strerror}"
            except KernsymError as error:
                stays = f"it could not be removed: {error.message}"
        if stays:
            if not any((kept.kernel, kept.why) == (key, stays) for kept in self._kept):
                self._kept.append(Kept(kernel=key, what=what, size=size, why=stays))
            return
        if size:
            self._removed.append(Removed(kernel=key, what=what, size=size, why=why))
            self._parts[key] = self._parts.get(key, 0) + size
        if candidate.step is Step.KERNEL:
            self._whole.add(key)

    def _remove(self, candidate: Candidate, size: int, lacking: int) -> int:
        """The bytes that it gave.  Raises `Busy`, `OSError`."""
        if not candidate.key:
            folder = self._store.root / SIDE[candidate.step]
            return _drop_oldest(folder, lacking, plan=self._plan)
        bundle, removal = self._found.bundles[candidate.key], self._store.removal
        if is_in_use(self._store, candidate.key):
            raise Busy(candidate.key)
        if self._plan:
            return size
        if candidate.step is Step.KERNEL:
            removal.evict(bundle)
        elif candidate.step is Step.PACKAGES:
            removal.drop_packages(candidate.key)
        else:
            trees = [file.path for file in bundle.files if file.role is FileRole.SOURCE_TREE]
            copies = [bundle.prepared.path] if bundle.prepared else []
            removal.withdraw(candidate.key, trees if candidate.step is Step.SOURCES else copies)
        return size


def _drop_oldest(folder: Path, wanted: int, *, plan: bool) -> int:
    """Remove the oldest files of a folder, or only see what they would give; the bytes."""
    files = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                state = (Path(parent) / name).stat()
                files.append((state.st_mtime, state.st_blocks * 512, Path(parent) / name))
    given = 0
    for modified, size, path in sorted(files):
        if given >= wanted or time.time() - modified < _FRESH_SECONDS:
            break
        if not plan:
            path.unlink(missing_ok=True)
        given += size
    return given


def line_of(one: Removed | Kept) -> str:
    """For a log or a person."""
    name = one.kernel or "the store"
    return f"{one.what} of {name}, {size_words(one.size)}: {one.why}"
