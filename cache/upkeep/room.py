"""Room for what is to come: taken before the work begins, so that several do not count on the same.

STORE/locks/room/<random>      held by who is bringing something: its kernel, and how large that
                               kernel's folder may become
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache.locks import hold, is_held, try_lock
from kernsym.cache.store import Store
from kernsym.cache.upkeep.collection import Collected, collect
from kernsym.cache.upkeep.eviction import size_words
from kernsym.cache.upkeep.limits import Limits
from kernsym.cache.usage import bytes_on_disk
from kernsym.distros import Unusable

# How long to wait for others: those who bring something end by themselves, those who read may stay
# for days, but a server lets go of what it sent within a quarter of a minute.
_PATIENCE_WITH_JOBS = 600.0
_PATIENCE_WITH_READERS = 25.0
_POLL_SECONDS = 0.5
_WAITING = "waiting for room: the store is full, and others work with what it holds"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Makes room in a store.  `on_collected` hears what was removed for it."""

    store: Store
    limits: Limits
    on_collected: Callable[[Collected], None] = lambda collected: None

    @contextlib.contextmanager
    def reserved(
        self,
        key: str,
        wanted: int,
        *,
        on_wait: Callable[[str], None] = lambda text: None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[None]:
        """Have room for `wanted` bytes more in a kernel's folder.

        Waits while others bring or read something.  Then the store may exceed its size, said to
        `on_wait`; its disk is left with the room that shall stay free.  Raises `Unusable`
        (`disk-full`), `InterruptedError` when `stop()`.
        """
        if not self.limits:
            yield
            return
        with contextlib.ExitStack() as held:
            began = look = time.monotonic()
            while not self._take(key, wanted, held, look - began, on_wait):
                if look == began:
                    on_wait(_WAITING)
                if stop():
                    raise InterruptedError("gave up waiting for room")
                # To look through a large store takes a while: half of the time is enough for it.
                time.sleep(max(_POLL_SECONDS, time.monotonic() - look))
                look = time.monotonic()
            yield

    def _take(
        self,
        key: str,
        wanted: int,
        held: contextlib.ExitStack,
        waited: float,
        on_wait: Callable[[str], None],
    ) -> bool:
        """Whether the room was had."""
        with hold(self._folder.with_suffix(".lock")):
            others = self._reserved()
            collected = collect(self.store, self.limits, wanted=wanted + others, sparing=key)
            self.on_collected(collected)
            if collected.lacking:
                if waited < (_PATIENCE_WITH_JOBS if others else self._patience(collected)):
                    return False
                self._require_floor(collected, wanted)
                on_wait(f"the store goes beyond its limit: {collected.why}")
            until = bytes_on_disk(self.store.tree.folder(key)) + wanted
            path = self._folder / secrets.token_hex(8)
            descriptor = try_lock(path)
            held.callback(os.close, descriptor)
            held.callback(path.unlink, missing_ok=True)
            os.pwrite(descriptor, f"{until} {key}\n".encode(), 0)
        return True

    def _patience(self, collected: Collected) -> float:
        in_use = any(kept.why == "in use" for kept in collected.kept)
        return _PATIENCE_WITH_READERS if in_use else 0.0

    def _require_floor(self, collected: Collected, wanted: int) -> None:
        """The store may be larger than it should, its disk no fuller."""
        floor = self.limits.min_free
        free = collected.free + collected.freed
        if floor is not None and free - wanted < floor:
            raise Unusable(
                "disk-full",
                f"{size_words(wanted)} are needed, and {size_words(floor)} shall stay free",
                context=(
                    f"free    {size_words(free)} of the disk of {self.store.root}",
                    *(f"stays   {kept.kernel}: {kept.why}" for kept in collected.kept),
                ),
                hint="unpin or remove kernels (kernsym du), or lower min_free in [store]",
            )

    @property
    def _folder(self) -> Path:
        return self.store.tree.locks / "room"

    def _reserved(self) -> int:
        """Bytes that others will still need."""
        total = 0
        for path in self._folder.glob("*"):
            if not is_held(path):
                path.unlink(missing_ok=True)  # of somebody who was killed
                continue
            with contextlib.suppress(OSError, ValueError):
                until, _, key = path.read_text().strip().partition(" ")
                total += max(0, int(until) - bytes_on_disk(self.store.tree.folder(key)))
        return total
