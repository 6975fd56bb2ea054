"""From a fingerprint to a published bundle: what the store holds, else a job that brings it.

The straight path goes on in `bring/`: kernel → packages → files → checked → published.
"""

from __future__ import annotations

import asyncio
import contextlib

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Part, Priority, SymbolsRequest
from kernsym.distros import KernsymError
from kernsym.server.bring.checker import PackageChecker
from kernsym.server.bring.kernel import KernelBringer
from kernsym.server.bring.packages import Packages
from kernsym.server.bring.sources import SourcesBringer
from kernsym.server.held import find_held, fingerprint_of, has, kernels_of
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.jobs.board import Work

_PARTS = "*/*/*/*/packages/*.ranges"  # below the folder of all kernels


class Symbols:
    """Finds symbols in the store, or has them brought."""

    def __init__(self, store: Store, jobs: JobBoard, packages: Packages) -> None:
        self._store = store
        self._jobs = jobs
        self._kernel = KernelBringer(store, packages)
        self._sources = SourcesBringer(store, packages)
        self._checker = PackageChecker(store, packages)

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
            job.partial = request.partial
            job.digests = request.digests
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
        """Go on with the jobs that the last server on this store left, and with what it had still
        to check."""
        self._jobs.resume(self._work_on)
        self._resuming = asyncio.create_task(self._resume_checks())

    async def _resume_checks(self) -> None:
        for key in await asyncio.to_thread(self._keys_in_part):
            with contextlib.suppress(KernsymError):
                await self._check_soon(key)

    def _work_on(self, part: Part) -> Work:
        works = {
            Part.SYMBOLS: self._bring_kernel,
            Part.SOURCES: self._sources.bring,
            Part.CHECK: self._checker.bring,
        }
        return works[part]

    async def _bring_kernel(self, job: Job) -> None:
        await self._kernel.bring(job)
        await self._check_soon(job.kernel.key)

    async def _check_soon(self, key: str) -> None:
        """Have what came in part of a kernel checked in the background, if that is to be."""
        bundle = await asyncio.to_thread(self._store.bundle_by_key, key)
        if bundle is not None and any(mark.later for mark in bundle.unchecked):
            await self.start(
                SymbolsRequest(
                    fingerprint=fingerprint_of(bundle),
                    part=Part.CHECK,
                    priority=Priority.BACKGROUND,
                )
            )

    def _keys_in_part(self) -> list[str]:
        """The kernels of which packages lie here in part."""
        tree = self._store.tree
        return [tree.key_of(path.parent.parent) for path in tree.kernels.glob(_PARTS)]
