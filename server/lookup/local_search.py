"""Build IDs of kernels that we can fetch ourselves: on their way already, or in a package of which
somebody told what is in it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from kernsym.cache import Held, Store
from kernsym.cache.messages import JobState, Part, Partial, SymbolsRequest
from kernsym.distros import (
    CouldNotFindOut,
    Fetch,
    Fingerprint,
    KernsymError,
    NotPublished,
    identify,
)
from kernsym.server.config import ServerConfig
from kernsym.server.held import fingerprint_of
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.lookup.job_files import Found, JobFiles, Readiness, end_of
from kernsym.server.mirrors.build_ids import BuildIds, PackageOfBuildId
from kernsym.server.symbols import Symbols

_ASKED_BY = "debuginfod"
_FAILURE_SECONDS = 600.0
_LOOKING_SECONDS = 1800.0  # a package of a gigabyte takes some minutes, more on a busy machine
_LOOK_SECONDS = 1.0


class LocalSearch:
    """Finds the kernel that a build ID is of, and has it brought by a job.

    Of the sources of `config` those with lists of files are searched, through `fetch`.
    `unread`: how many packages are still being looked through.
    """

    def __init__(
        self,
        store: Store,
        jobs: JobBoard,
        symbols: Symbols,
        fetch: Fetch,
        config: ServerConfig,
        unread: Callable[[], int],
    ) -> None:
        self._store = store
        self._unread_packages = unread
        self._files = JobFiles(store, jobs)
        self._symbols = symbols
        self._build_ids = BuildIds(store.root / "pages")
        self._fetch = fetch
        self._without_sources: dict[str, tuple[float, KernsymError]] = {}
        self.reconfigure(config)

    def reconfigure(self, config: ServerConfig) -> None:
        """Go by another configuration from now on."""
        self._on_demand = config.options.fetch_on_demand
        self._looks_through = config.keeps_jobs and config.options.index_packages
        self._offline = config.offline
        self._sources = tuple(source for source in config.sources if source.kind == "rpm-md")
        folders = (source.place for source in config.sources if source.kind == "directory")
        self._unread_folders = () if self._looks_through else tuple(folders)

    async def find(
        self, build_id: str, on_job: Callable[[Job], None], *, once: Readiness, demanded: bool
    ) -> Found:
        """The file with a build ID, `once` it is so far; `on_job` hears which job brings it.
        `demanded`: somebody who may have kernels brought wants this one.

        Raises `NotPublished` when no package that we know of has it, and what kept the job from
        bringing it.
        """
        job = await self._files.job_about(build_id)
        if job is not None:
            on_job(job)
            if job.partial is Partial.NO:
                return await self._files.wait(job, build_id, once)
        if not demanded:
            self._require_on_demand()
        if job is not None:
            return await self._bring(
                SymbolsRequest(fingerprint=job.fingerprint), build_id, on_job, once
            )
        request = await asyncio.to_thread(self._request_of_member, build_id)
        request = request or await asyncio.to_thread(self._request_of_scanned, build_id)
        if request is None:
            request = await self._request_of_listed(build_id, on_job, demanded=demanded)
        return await self._bring(request, build_id, on_job, once)

    async def is_coming(self, build_id: str) -> bool:
        """Whether a job is bringing the file with a build ID."""
        return await self._files.job_about(build_id) is not None

    async def find_sources(self, build_id: str, on_job: Callable[[Job], None]) -> Held:
        """A file that is held, when the sources of its kernel are held too.

        Raises as `find`.  What kept the sources of a kernel from coming is remembered for a while:
        a debugger asks for one file after the other.
        """
        job = await self._files.job_about(build_id)
        if job is not None:
            await end_of(job)  # the debugger may have the kernel before it is published
        held = await asyncio.to_thread(self._store.find_build_id, build_id)
        if held is None:
            raise NotPublished("not-published", "its kernel is not held")
        self._require_on_demand()
        until, failure = self._without_sources.get(held.key, (0.0, None))
        if failure is not None and time.monotonic() < until:
            raise failure
        fingerprint = fingerprint_of(await asyncio.to_thread(lambda: held.bundle))
        request = SymbolsRequest(fingerprint=fingerprint, part=Part.SOURCES)
        try:
            job = await self._start(request, on_job)
            await self._files.wait(job, build_id, Readiness.PUBLISHED)
        except KernsymError as error:
            self._without_sources[held.key] = time.monotonic() + _FAILURE_SECONDS, error
            raise
        return held

    def _require_on_demand(self) -> None:
        if not self._on_demand:
            raise NotPublished("not-published", "none is fetched because of a build ID")

    def _request_of_member(self, build_id: str) -> SymbolsRequest | None:
        """What to ask for to get a file of a package that was seen before."""
        member = self._store.known.find(build_id)
        if member is None:
            return None
        fingerprint = (
            Fingerprint(banner=member.banner, build_id=member.kernel_build_id)
            if member.banner
            else Fingerprint(package=member.package)
        )
        return SymbolsRequest(
            fingerprint=fingerprint,
            modules=(member.module,) if member.module else (),
        )

    def _request_of_scanned(self, build_id: str) -> SymbolsRequest | None:
        """What to ask for to get a file of a folder that was scanned."""
        found = self._store.scanned.find(build_id)
        if found is None:
            return None
        fingerprint = Fingerprint(package=found.package)
        if not found.package:
            fingerprint = Fingerprint(banner=found.banner, build_id=build_id)
        elif identify(fingerprint).kernel is None:
            # Several vendors name packages so; the build ID of its vmlinux tells whose.
            fingerprint = Fingerprint(package=found.package, build_id=found.kernel_build_id)
        modules = (found.module,) if found.module else ()
        return SymbolsRequest(fingerprint=fingerprint, modules=modules)

    async def _request_of_listed(
        self, build_id: str, on_job: Callable[[Job], None], *, demanded: bool
    ) -> SymbolsRequest:
        """What to ask for to get a file that a list of files names.

        The list does not tell vmlinux from a module.  So the kernel is brought, and where the file
        is none of what came, it is a module that is known as soon as the package is looked through.
        """
        listed = await self._listed(build_id)
        file = unquote(urlsplit(listed.ref.url).path).rpartition("/")[2]
        request = SymbolsRequest(fingerprint=Fingerprint(package=file))
        if demanded and identify(request.fingerprint).kernel is None:
            # Several vendors name packages so; the build ID tells whose, if it is a vmlinux's.
            # A module's makes a package come in vain, so not whoever asks may cause that.
            request = SymbolsRequest(fingerprint=Fingerprint(package=file, build_id=build_id))
        job = await self._start(request, on_job)
        await end_of(job)
        if await asyncio.to_thread(self._store.find_build_id, build_id) is not None:
            return request
        return await self._when_looked_through(job.kernel.key, listed.ref.package.id, build_id)

    async def _listed(self, build_id: str) -> PackageOfBuildId:
        """The package that a list of files names.

        Raises as `BuildIds.search`, and `CouldNotFindOut` (`offline`, `not-looked-through`).
        """
        if self._sources and self._offline:
            raise CouldNotFindOut("offline", "no list of files is asked for it: we are offline")
        try:
            if not self._sources:
                raise NotPublished("not-published", "none is known to have it")
            return await asyncio.to_thread(
                self._build_ids.search, build_id, self._sources, self._fetch
            )
        except NotPublished as error:
            if self._unread_folders:
                folders = ", ".join(self._unread_folders)
                message = f"packages in {folders} are looked through by a shared server alone"
            elif count := self._unread_packages():
                message = (
                    f"packages that may have it are still being looked through, {count} of them"
                )
            else:
                raise
            raise CouldNotFindOut("not-looked-through", message, context=error.context) from error

    async def _when_looked_through(self, key: str, package: str, build_id: str) -> SymbolsRequest:
        deadline = time.monotonic() + _LOOKING_SECONDS
        while self._looks_through and time.monotonic() < deadline:
            known = await asyncio.to_thread(self._store.known.read, key)
            request = await asyncio.to_thread(self._request_of_member, build_id)
            if request is not None:
                return request
            if known is not None and package in known.listed:
                raise NotPublished("not-published", f"{package} is listed with it and has it not")
            await asyncio.sleep(_LOOK_SECONDS)
        raise CouldNotFindOut(
            "not-looked-through", f"{package} is listed with it, but was not looked through"
        )

    async def _bring(
        self,
        request: SymbolsRequest,
        build_id: str,
        on_job: Callable[[Job], None],
        once: Readiness,
    ) -> Found:
        held = await asyncio.to_thread(self._store.find_build_id, build_id)
        if held is not None:
            return held
        job = await self._start(request, on_job)
        if job.partial is not Partial.NO:  # what that brings is only for those who asked for such
            await end_of(job)
            job = await self._start(request, on_job)
        try:
            return await self._files.wait(job, build_id, once)
        except NotPublished:
            complete = await asyncio.to_thread(self._symbols.held, request)
            if job.state is not JobState.DONE or complete is not None:
                raise
        # It was about to end when it was joined, and has brought no more than before.
        return await self._files.wait(await self._start(request, on_job), build_id, once)

    async def _start(self, request: SymbolsRequest, on_job: Callable[[Job], None]) -> Job:
        job = await self._symbols.start(request, asked_by=_ASKED_BY)
        on_job(job)
        return job
