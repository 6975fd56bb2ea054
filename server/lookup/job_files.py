"""The files that jobs bring, each as soon as it may be given."""

from __future__ import annotations

import asyncio
import enum
from pathlib import Path
from typing import Any

from kernsym.cache import Held, LooseFile, Store
from kernsym.cache.manifests import stamp_of
from kernsym.cache.messages import Event, EventKind, JobState, Part
from kernsym.distros import CouldNotFindOut, NotPublished, Refused
from kernsym.server.binaries import elf
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.jobs.coming import ComingFile

_MOST_VMLINUX = 100  # of jobs, whose build ID is remembered


class Readiness(enum.Enum):
    """From when on a file is given."""

    BEGUN = "begun"  # while it is being unpacked, and before it was checked to its end
    CHECKED = "checked"  # a vmlinux, though the rest of its package is still on its way
    PUBLISHED = "published"


Found = Held | LooseFile | ComingFile


class JobFiles:
    """Finds files by build ID among the jobs.  Belongs to an event loop."""

    def __init__(self, store: Store, jobs: JobBoard) -> None:
        self._store = store
        self._jobs = jobs
        self._vmlinux: dict[Path, tuple[str, str | None]] = {}

    async def job_about(self, build_id: str) -> Job | None:
        """The job that works on the kernel whose vmlinux has the build ID, or is just unpacking a
        file that has it."""
        for job in self._jobs.jobs():
            if job.over or job.part is not Part.SYMBOLS:
                continue
            if job.fingerprint.build_id == build_id or job.coming.has(build_id):
                return job
            event = job.vmlinux_event
            if event is not None and await self._is_of(event, build_id):
                return job
        return None

    async def wait(self, job: Job, build_id: str, once: Readiness) -> Found:
        """The file that a job brings."""
        if once is Readiness.BEGUN and (begun := await self._begun_by(job, build_id)) is not None:
            return begun
        if once is Readiness.CHECKED and (found := await self._vmlinux_of(job, build_id)):
            return found
        await end_of(job)
        held = await asyncio.to_thread(self._store.find_build_id, build_id)
        if held is None:
            raise NotPublished("not-held", f"{job.kernel.key} was brought and does not have it")
        return held

    async def _begun_by(self, job: Job, build_id: str) -> LooseFile | ComingFile | None:
        """The file while a job unpacks it, or its vmlinux; None when the job has ended."""
        ways: set[asyncio.Task[Any]] = {
            asyncio.create_task(job.coming.find(build_id)),
            asyncio.create_task(self._vmlinux_of(job, build_id)),
        }
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return next((found for way in done if (found := way.result())), None)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _vmlinux_of(self, job: Job, build_id: str) -> LooseFile | None:
        """The vmlinux of a job that runs; None when that is another file, or the job has ended."""
        async for event in job.follow():
            if event.kind is EventKind.VMLINUX and await self._is_of(event, build_id):
                return LooseFile(
                    build_id=build_id,
                    path=self._path(event),
                    name=f"/{event.path.partition('/')[2]}",
                    archive="",
                    origin="a package",
                )
        return None

    async def _is_of(self, event: Event, build_id: str) -> bool:
        """Whether the vmlinux of an event is there and has the build ID."""
        path = self._path(event)
        stamp = stamp_of(path)
        if self._vmlinux.get(path, ("",))[0] != stamp:
            if len(self._vmlinux) >= _MOST_VMLINUX:
                self._vmlinux.clear()
            self._vmlinux[path] = stamp, await asyncio.to_thread(_build_id, path)
        return bool(stamp) and self._vmlinux[path][1] == build_id

    def _path(self, event: Event) -> Path:
        assert event.kernel is not None
        return self._store.folder(event.kernel) / event.path


async def end_of(job: Job) -> None:
    """Wait for the end of a job.  Raises what kept it from its work."""
    async for event in job.follow():
        if event.problem is not None:
            raise event.problem.as_error()
    if job.state is not JobState.DONE:
        raise CouldNotFindOut("interrupted", f"the work on {job.kernel.key} was interrupted")


def _build_id(path: Path) -> str | None:
    try:
        return elf.build_id(path)
    except (Refused, OSError):  # taken back, or moved
        return None
