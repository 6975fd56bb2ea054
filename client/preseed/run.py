"""Has a plan's kernels brought, several at once, within a budget; what came is never lost."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from kernsym.cache import Bundle
from kernsym.cache.messages import EventKind, JobStatus, Part
from kernsym.client.preseed.items import Item, State, state_of
from kernsym.client.preseed.parallel import in_parallel
from kernsym.client.preseed.plan import Wish, resolve
from kernsym.client.server_api import ServerApi
from kernsym.distros import CouldNotFindOut, KernsymError, Role

_MOST_JOBS = 5  # a job that another request began may end without what this one wants
_PAUSE_SECONDS = 0.5
_BUDGET = "budget"  # the code of what was left because of it
_OF_SOURCES = (Role.SOURCE, Role.DEBUGINFO_COMMON)

Tell = Callable[[Item], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Bytes to download and seconds to take; None: any number.  `at_once`: kernels in parallel."""

    most_bytes: int | None = None
    most_seconds: float | None = None
    at_once: int = 4


@dataclass(slots=True)
class Run:
    """A run while it goes on.  `digests`: of the only packages an item may come from; () any."""

    api: ServerApi
    wish: Wish
    budget: Budget
    digests: Callable[[Item], tuple[str, ...]] = lambda item: ()
    _began: float = field(default_factory=time.monotonic)
    _spent: int = 0
    _reserved: dict[str, int] = field(default_factory=dict)
    _jobs: dict[str, str] = field(default_factory=dict)  # of items that run, by name
    _done: dict[str, int] = field(default_factory=dict)  # bytes that came, by job
    _symbols: dict[str, threading.Event] = field(default_factory=dict)  # over, by kernel
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _over: bool = False

    def go(
        self,
        items: Sequence[Item],
        tell: Tell,
        progress: Callable[[int, int | None], None] = lambda done, total: None,
    ) -> list[Item]:
        """The items as they ended.  `tell` hears each end, `progress` bytes done and in all."""
        ended = {(item.name, item.part): item for item in items}
        total = sum(item.fetch_bytes for item in items)
        for item in items:
            if item.part is Part.SYMBOLS and item.state in (State.PLANNED, State.UNKNOWN):
                self._symbols[item.name] = threading.Event()

        def tick() -> None:
            self._stop_in_time()
            progress(sum(self._done.values()), total or None)

        results = in_parallel(
            self._bring, self._in_order(items), threads=self.budget.at_once, tick=tick
        )
        for item, name in results:
            ended[name, item.part] = item
            tell(item)
            tick()
        return list(ended.values())

    def _in_order(self, items: Sequence[Item]) -> Iterator[Item]:
        """What is to be brought: all symbols before any sources, and after those that are planned
        once more what could not be found out a while ago."""
        for part in (Part.SYMBOLS, Part.SOURCES):
            for state in (State.PLANNED, State.UNKNOWN):
                yield from (item for item in items if (item.state, item.part) == (state, part))

    def _bring(self, item: Item) -> tuple[Item, str]:
        """The item as it ended, and the name that it had in the plan."""
        name, began = item.name, time.monotonic()
        try:
            if item.state is State.UNKNOWN:
                item = resolve(self.api, item, self.wish)[0]
            came = self._bring_planned(item, name)
        except KernsymError as error:
            if error.code == "cancelled" and self._over:
                error = _left("the time is over; what has come is kept")
            state = State.LEFT if error.code == _BUDGET else state_of(error)
            came = replace(item, state=state, problem=error)
        size = self._end(name)
        return replace(came, seconds=time.monotonic() - began, downloaded=size), name

    def _bring_planned(self, item: Item, name: str) -> Item:
        if item.state not in (State.PLANNED, State.HELD):
            return item
        if (reason := self._no_budget(item, name)) is not None:
            return replace(item, state=State.LEFT, problem=reason)
        self._wait_for_symbols(item)
        return _from(self._ask(item, name), item)

    def _end(self, name: str) -> int:
        """Nothing more happens to an item; the bytes that came for it."""
        with self._lock:
            self._reserved.pop(name, None)
            size = self._done.get(self._jobs.pop(name, ""), 0)
            self._spent += size
        if name in self._symbols:
            self._symbols[name].set()
        return size

    def _wait_for_symbols(self, item: Item) -> None:
        """Sources are kept with the symbols of their kernel, which come first."""
        if item.part is Part.SOURCES and item.kernel and item.kernel.key in self._symbols:
            self._symbols[item.kernel.key].wait()

    def _no_budget(self, item: Item, name: str) -> KernsymError | None:
        """Why an item is not begun, if so; else its bytes are reserved."""
        with self._lock:
            most = self.budget.most_bytes
            planned = self._spent + sum(self._reserved.values()) + item.fetch_bytes
            if self._over:
                return _left("the time is over")
            if most is not None and planned > most:
                return _left(f"its {item.fetch_bytes} bytes do not fit what is left of the budget")
            self._reserved[name] = item.fetch_bytes
        return None

    def _stop_in_time(self) -> None:
        """Cancel what runs when the time is over; what was downloaded is kept."""
        most = self.budget.most_seconds
        if self._over or most is None or time.monotonic() - self._began < most:
            return
        with self._lock:
            self._over = True
            jobs = list(self._jobs.values())
        for job in jobs:
            self._cancel(job)

    def _cancel(self, job: str) -> None:
        with contextlib.suppress(KernsymError):  # it has just ended, or others wait for it
            self.api.cancel(job)

    def _ask(self, item: Item, name: str) -> Bundle:
        """The bundle, after as many jobs as it takes.  Raises what the server met."""
        request = self.wish.request(item.fingerprint, item.part, self.digests(item))
        for _ in range(_MOST_JOBS):
            try:
                answer = self.api.symbols(request)
            except KernsymError as error:
                if error.code != "being-fetched":
                    raise
                time.sleep(_PAUSE_SECONDS)
                continue
            if isinstance(answer, Bundle):
                return answer
            self._follow(name, answer)
        raise KernsymError("no-progress", "the server's jobs end without what was asked for")

    def _follow(self, name: str, job: JobStatus) -> None:
        with self._lock:
            self._jobs[name] = job.id
            over = self._over
        if over:
            self._cancel(job.id)
        for event in self.api.events(job.id):
            if event.kind is EventKind.PROGRESS and event.stage == "download" and event.done:
                self._done[job.id] = event.done
            elif event.problem is not None:
                raise event.problem.as_error()
        with self._lock:
            self._done[job.id] = self.api.job(job.id).downloaded


def _from(bundle: Bundle, item: Item) -> Item:
    """The item with what came of it."""
    refs = tuple(
        ref
        for ref in bundle.packages
        if (ref.package.role in _OF_SOURCES) is (item.part is Part.SOURCES)
    )
    packages = refs or item.packages
    return replace(item, state=State.FETCHED, kernel=bundle.kernel, packages=packages, problem=None)


def _left(why: str) -> CouldNotFindOut:
    return CouldNotFindOut(_BUDGET, f"left for the next run: {why}", hint="run it again to go on")
