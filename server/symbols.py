"""From a fingerprint to a published bundle: what the store holds, else a job that brings it.

The straight path goes on in `bring/`: kernel → packages → files → checked → published.
"""

from __future__ import annotations

import asyncio

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Part, Priority, SymbolsRequest
from kernsym.server.bring.kernel import KernelBringer
from kernsym.server.bring.packages import Packages
from kernsym.server.bring.sources import SourcesBringer
from kernsym.server.held import find_held, has, kernels_of
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.jobs.board import Work


class Symbols:
    """Finds symbols in the store, or has them brought."""

    def __init__(self, store: Store, jobs: JobBoard, packages: Packages) -> None:
        self._store = store
        self._jobs = jobs
        self._kernel = KernelBringer(store, packages)
        self._sources = SourcesBringer(store, packages)

    def held(self, request: SymbolsRequest) -> Bundle | None:
        """The bundle, when everything that is asked for is in the store.

        Raises as `find_held`.
        """
        bundle = find_held(self._store, request.fingerprint)
        if bundle is None or not has(bundle, request):
            return None
        self._store.uses.note(bundle.kernel.key)
        bundle = self._store.bundle(bundle.kernel)  # it may have been evicted meanwhile
        return bundle if bundle is not None and has(bundle, request) else None

    async def start(self, request: SymbolsRequest, *, asked_by: str = "") -> Job:
        """The job that brings what is asked for: the one that waits or runs, or a new one.

        Raises `NotIdentified` (`ambiguous`, `unsupported`, `unknown`, `arch-unknown`).
        """
        kernels, certain = await asyncio.to_thread(kernels_of, self._store, request.fingerprint)
        # From here to the start nothing is awaited, so that nobody starts the same job meanwhile.
        job = self._jobs.running(kernels[0] if certain else request.fingerprint, request.part)
        if job is None:
            job = self._jobs.start(
                kernels[0],
                request.part,
                request.fingerprint,
                self._work_on(request.part),
                () if certain else kernels,
                priority=request.priority,
            )
        await self.join(job, request, asked_by=asked_by)
        return job

    async def join(self, job: Job, request: SymbolsRequest, *, asked_by: str = "") -> None:
        """Have a job bring what is asked for too."""
        job.wanted.add(request.modules, everything=request.all_modules)
        if asked_by:
            job.asked_by.add(asked_by)
        if request.priority is Priority.PERSON:
            self._jobs.hurry(job)
        await self._jobs.keep(job)

    def resume(self) -> None:
        """Go on with the jobs that the last server on this store left."""
        self._jobs.resume(self._work_on)

    def _work_on(self, part: Part) -> Work:
        return (self._sources if part is Part.SOURCES else self._kernel).bring
