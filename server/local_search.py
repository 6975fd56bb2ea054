"""Build IDs of kernels that we can fetch ourselves: on their way already, or in a package of which
somebody told what is in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from kernsym.cache import Held, LooseFile, Store
from kernsym.cache.messages import Event, EventKind, JobState, Part, SymbolsRequest
from kernsym.distros import (
    CouldNotFindOut,
    Fetch,
    Fingerprint,
    NotPublished,
    Refused,
)
from kernsym.server import elf
from kernsym.server.build_ids import BuildIds
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.symbols import Symbols

_ASKED_BY = "debuginfod"
_MOST_VMLINUX = 100  # of jobs, whose build ID is remembered
# The machine of a package, as `uname -m` spells it, where RPM has another word.
_MACHINES = {"i586": "i686", "armv7hl": "armv7l"}


class LocalSearch:
    """Finds the kernel that a build ID is of, and has it brought by a job.

    Of the sources of `config` those with lists of files are searched, through `fetch`.
    """

    def __init__(
        self, store: Store, jobs: JobBoard, symbols: Symbols, fetch: Fetch, config: ServerConfig
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._symbols = symbols
        self._build_ids = BuildIds(store.root / "pages")
        self._fetch = fetch
        self._vmlinux: dict[Path, str | None] = {}
        self.reconfigure(config)

    def reconfigure(self, config: ServerConfig) -> None:
        """Go by another configuration from now on."""
        self._on_demand = config.options.fetch_on_demand
        lists = tuple(source for source in config.sources if source.kind == "rpm-md")
        self._sources = () if config.offline else lists

    async def find(
        self, build_id: str, on_job: Callable[[Job], None], *, early: bool
    ) -> Held | LooseFile:
        """The file with a build ID; `on_job` hears which job brings it.  With `early` a vmlinux is
        given as soon as it is checked, though the rest of its package is still on its way.

        Raises `NotPublished` when no package that we know of has it, and what kept the job from
        bringing it.
        """
        job = await self.job_about(build_id)
        if job is None and not self._on_demand:
            raise NotPublished("not-published", "none is fetched because of a build ID")
        if job is None:
            request = await asyncio.to_thread(self._request, build_id)
            job = await self._symbols.start(request, asked_by=_ASKED_BY)
        on_job(job)
        return await self._wait(job, build_id, early=early)

    def _request(self, build_id: str) -> SymbolsRequest:
        """What has to be asked for to get a file with the build ID."""
        if (member := self._store.known.find(build_id)) is not None:
            return SymbolsRequest(
                fingerprint=Fingerprint(banner=member.banner, build_id=member.kernel_build_id),
                modules=(member.module,) if member.module else (),
            )
        if not self._sources:
            raise NotPublished("not-published", "none is known to have it")
        found = self._build_ids.search(build_id, self._sources, self._fetch)
        arch = found.ref.package.arch
        fingerprint = Fingerprint(
            build_id=build_id, release=found.uname, arch=_MACHINES.get(arch, arch)
        )
        return SymbolsRequest(fingerprint=fingerprint)

    async def job_about(self, build_id: str) -> Job | None:
        """The job that works on the kernel whose vmlinux has the build ID."""
        for job in self._jobs.jobs():
            if job.over or job.part is not Part.SYMBOLS:
                continue
            if job.fingerprint.build_id == build_id:
                return job
            event = job.vmlinux_event
            if event is not None and await self._is_of(event, build_id):
                return job
        return None

    async def _wait(self, job: Job, build_id: str, *, early: bool) -> Held | LooseFile:
        async for event in job.follow():
            checked = early and event.kind is EventKind.VMLINUX
            if checked and await self._is_of(event, build_id):
                return LooseFile(
                    build_id=build_id,
                    path=self._path(event),
                    name=f"/{event.path.partition('/')[2]}",
                    archive="",
                    origin="a package",
                )
            if event.problem is not None:
                raise event.problem.as_error()
        held = await asyncio.to_thread(self._store.find_build_id, build_id)
        if held is not None:
            return held
        if job.state is JobState.DONE:
            raise NotPublished("not-held", f"{job.kernel.key} was brought and does not have it")
        raise CouldNotFindOut("interrupted", f"the work on {job.kernel.key} was interrupted")

    async def _is_of(self, event: Event, build_id: str) -> bool:
        """Whether the vmlinux of an event is there and has the build ID."""
        path = self._path(event)
        if path not in self._vmlinux:
            if len(self._vmlinux) >= _MOST_VMLINUX:
                self._vmlinux.clear()
            self._vmlinux[path] = await asyncio.to_thread(_build_id, path)
        return self._vmlinux[path] == build_id and path.exists()

    def _path(self, event: Event) -> Path:
        assert event.kernel is not None
        return self._store.folder(event.kernel) / event.path


def _build_id(path: Path) -> str | None:
    try:
        return elf.build_id(path)
    except (Refused, OSError):  # taken back, or moved
        return None
