"""What to do for a build ID that somebody asks for: held, fetched, asked of others, or a miss that
says why."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from kernsym.cache import LooseFile, Store
from kernsym.cache.messages import JobStatus, Metadata
from kernsym.distros import CouldNotFindOut, KernsymError, NotPublished
from kernsym.server.jobs import Job
from kernsym.server.lookup.federation import Asker, Federation
from kernsym.server.lookup.job_files import Found, Readiness
from kernsym.server.lookup.local_search import LocalSearch
from kernsym.server.scan.loose import loose_file

_MISS_SECONDS = 600.0  # as long as debuginfod's own clients remember one
_MOST_MISSES = 10_000
_IMPATIENCE_SECONDS = 2.0  # by then there is a job, if there will be one
_HINT = "bring its kernel here: kernsym fetch DUMP or BANNER"

KERNEL = "kernel"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for: `debuginfo`, `executable`, `section NAME`, `source PATH`, or `KERNEL`, the
    whole kernel of the file; by whom; whether they wait until it has come, and whether they read it
    while it does.  For a section the debuginfo is brought."""

    artefact: str = "debuginfo"
    asker: Asker = field(default_factory=Asker)
    patient: bool = True
    streamed: bool = False


class BeingFetched(KernsymError):
    """It is on its way, and whoever asked does not wait for it.  `job`: what brings it, None when
    other servers are asked, or nobody knows yet."""

    retry_after = 5  # seconds

    def __init__(self, build_id: str, job: JobStatus | None) -> None:
        super().__init__("being-fetched", f"the file with the build ID {build_id} is on its way")
        self.job = job


@dataclass(frozen=True, slots=True, kw_only=True)
class _Search:
    """What is looked for, and who may be asked: questions that are equal have one answer.

    `hops`: a question that comes back to us has more of them, so it never waits for itself.
    `once`: how far the file has to be.  `published`: a file with this build ID is held, so
    that its sources may be had now.
    """

    build_id: str
    artefact: str
    peers: tuple[str, ...]
    hops: int
    once: Readiness
    published: bool


class Lookup:
    """Finds files by build ID.  Belongs to an event loop; `close()` ends what is under way."""

    def __init__(self, store: Store, packages: LocalSearch, federation: Federation) -> None:
        self._store = store
        self._packages = packages
        self._federation = federation
        self._running: dict[_Search, asyncio.Task[Found]] = {}
        self._elsewhere: dict[_Search, asyncio.Task[LooseFile]] = {}
        self._jobs: dict[_Search, Job] = {}
        self._misses = _Misses()

    async def close(self) -> None:
        """Nobody is kept waiting any longer."""
        tasks = [*self._running.values(), *self._elsewhere.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def find(self, build_id: str, ask: Ask) -> Found:
        """The file: at once when it is held, else when it has come.

        Raises `NotPublished` (`not-held`) when everybody who could be asked does not have it, which
        is remembered for a while; `CouldNotFindOut` (`not-found-out`) when somebody could not be
        asked; `BeingFetched`.
        """
        artefact = "debuginfo" if ask.artefact.startswith("section ") else ask.artefact
        found = await asyncio.to_thread(self._held, build_id, artefact)
        if found is not None:
            return found
        peers = self._federation.asked_for(ask.asker)
        hops = len(ask.asker.forwarded_for)
        search = _Search(
            build_id=build_id,
            artefact=artefact,
            peers=peers,
            hops=hops,
            once=_readiness(artefact, streamed=ask.streamed),
            published=self._store.has_link(build_id),
        )
        task = self._running.get(search)
        if task is None:
            missed = self._misses.find(search)
            if missed is not None and not await self._packages.is_coming(build_id):
                raise missed
            task = self._running.get(search) or self._start(search, ask)
        if not ask.patient:
            done, _ = await asyncio.wait({task}, timeout=_IMPATIENCE_SECONDS)
            if not done:
                job = self._jobs.get(search)
                raise BeingFetched(build_id, job.status() if job and not job.over else None)
        return await asyncio.shield(task)

    async def metadata(self, query: Mapping[str, str], asker: Asker) -> Metadata:
        """What others list for a query of `/metadata`."""
        return await self._federation.metadata(query, asker)

    def _held(self, build_id: str, artefact: str) -> Found | None:
        held = None if artefact.startswith("source ") else self._store.find_build_id(build_id)
        if held is not None or artefact == KERNEL:
            return held
        lying = loose_file(self._store.scanned, build_id, artefact)
        return lying or self._federation.kept(build_id, artefact)

    def _start(self, search: _Search, ask: Ask) -> asyncio.Task[Found]:
        task = asyncio.create_task(self._bring(search, ask), name=f"find {search.build_id}")
        _keep_until_done(self._running, search, task)
        task.add_done_callback(lambda task: self._jobs.pop(search, None))
        return task

    async def _fetch(self, search: _Search) -> Found:
        """What we bring ourselves."""

        def on_job(job: Job) -> None:
            self._jobs[search] = job

        if search.artefact.startswith("source "):
            return await self._packages.find_sources(search.build_id, on_job)
        demanded = search.artefact == KERNEL
        return await self._packages.find(
            search.build_id, on_job, once=search.once, demanded=demanded
        )

    async def _bring(self, search: _Search, ask: Ask) -> Found:
        """Ask one after the other, ourselves first: what we fetch is checked against a package."""
        build_id, answers, sure = search.build_id, [], True
        try:
            return await self._fetch(search)
        except KernsymError as error:
            sure = isinstance(error, NotPublished)
            answers += [f"packages: {error.message}", *error.context]
        message = f"nobody who was asked has a file with the build ID {build_id}"
        try:
            found = await self._find_elsewhere(search, ask)
            if search.artefact != KERNEL:
                return found
            answers.append(f"{found.origin}: has the file")
            message = f"no package is known to have the build ID {build_id}, only {found.origin} "
            message += "has its file, and a file is no kernel with modules and sources"
        except KernsymError as error:
            sure = sure and isinstance(error, NotPublished)
            answers += error.context
        context = tuple(answers)
        if sure:
            miss = NotPublished("not-held", message, context=context, hint=_HINT)
            self._misses.remember(search, miss)
            raise miss
        raise CouldNotFindOut(
            "not-found-out",
            f"no file with the build ID {build_id} is held, and not everybody could be asked",
            context=context,
            hint=_HINT,
        )

    async def _find_elsewhere(self, search: _Search, ask: Ask) -> LooseFile:
        """What other servers have.  Who reads a file while it comes and who waits for it search
        apart, but others are asked once."""
        alike = replace(search, once=Readiness.PUBLISHED)
        task = self._elsewhere.get(alike)
        if task is None:
            task = asyncio.create_task(self._ask_others(search, ask))
            _keep_until_done(self._elsewhere, alike, task)
        return await asyncio.shield(task)

    async def _ask_others(self, search: _Search, ask: Ask) -> LooseFile:
        """Of a kernel its debuginfo, which may be kept since before."""
        if search.artefact != KERNEL:
            return await self._federation.find(search.build_id, search.artefact, ask.asker)
        kept = await asyncio.to_thread(self._federation.kept, search.build_id, "debuginfo")
        return kept or await self._federation.find(search.build_id, "debuginfo", ask.asker)


def _readiness(artefact: str, *, streamed: bool) -> Readiness:
    """Of vmlinux alone nobody knows yet whether it has the code, or is half of a kernel."""
    if artefact != "debuginfo":
        return Readiness.PUBLISHED
    return Readiness.BEGUN if streamed else Readiness.CHECKED


def _keep_until_done(
    tasks: dict[_Search, asyncio.Task[T]], search: _Search, task: asyncio.Task[T]
) -> None:
    def ended(task: asyncio.Task[T]) -> None:
        del tasks[search]
        if not task.cancelled():
            task.exception()  # those who asked may all have gone

    tasks[search] = task
    task.add_done_callback(ended)


class _Misses:
    """The last misses that were sure, each for a while."""

    def __init__(self) -> None:
        self._known: OrderedDict[_Search, tuple[float, NotPublished]] = OrderedDict()

    def remember(self, search: _Search, miss: NotPublished) -> None:
        self._known[search] = time.monotonic() + _MISS_SECONDS, miss
        while len(self._known) > _MOST_MISSES:
            self._known.popitem(last=False)

    def find(self, search: _Search) -> NotPublished | None:
        """The miss that is known of an equal search."""
        until, miss = self._known.get(search, (0.0, None))
        if miss is None:
            return None
        if until < time.monotonic():
            del self._known[search]
            return None
        context = (*miss.context, "answer of less than ten minutes ago")
        return NotPublished(miss.code, miss.message, context=context, hint=miss.hint)
