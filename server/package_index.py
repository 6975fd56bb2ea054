"""Learns, while nobody waits for anything, which modules the held packages have: so that one can be
given to whoever asks for its build ID, though it was not unpacked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, KnownKernel, Store
from kernsym.cache.messages import Part, Priority
from kernsym.distros import KernsymError, PackageRef, Role, catalog
from kernsym.server.growing import ByteSource, GrowingFile
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.unpack import list_modules
from kernsym.server.upstream import file_path, is_file_url

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.5
_NICE = 19


class PackageIndex:
    """Looks through one package after the other, if `enabled`.  What it was in the middle of when
    the server ended is begun anew by the next one."""

    def __init__(self, store: Store, *, enabled: bool) -> None:
        self._store = store
        self._enabled = enabled
        self._waiting: asyncio.Queue[str] = asyncio.Queue()
        self._quiet = threading.Event()
        self._stopped = threading.Event()
        # A thread of its own, because it cannot become important again.
        self._thread = ThreadPoolExecutor(1, "package-index", initializer=_yield_to_others)

    def consider(self, job: Job, error: KernsymError | None) -> None:
        """A job has ended: what it brought may have to be looked through."""
        if self._enabled and error is None and job.part is Part.SYMBOLS:
            self._waiting.put_nowait(job.kernel.key)

    @contextlib.asynccontextmanager
    async def working(self, jobs: JobBoard) -> AsyncIterator[None]:
        """Work in the background, but not while a person waits for one of the `jobs`."""
        if not self._enabled:
            yield
            return
        tasks = [asyncio.create_task(self._watch(jobs)), asyncio.create_task(self._work())]
        try:
            yield
        finally:
            self._stopped.set()
            self._quiet.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.to_thread(self._thread.shutdown)

    async def _watch(self, jobs: JobBoard) -> None:
        while True:
            active = (job for job in jobs.jobs() if not job.over)
            if any(job.priority is Priority.PERSON for job in active):
                self._quiet.clear()
            else:
                self._quiet.set()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        for key in await loop.run_in_executor(self._thread, self._left_over):
            self._waiting.put_nowait(key)
        while True:
            key = await self._waiting.get()
            await loop.run_in_executor(self._thread, self._look_through, key)

    def _left_over(self) -> list[str]:
        """Kernels of which a server that was stopped had learned nothing."""
        keys: list[str] = []
        while page := self._store.files.kernels(after=keys[-1] if keys else "", limit=1000):
            keys += [kernel.key for kernel in page]
        return [key for key in keys if self._store.known.read(key) is None]

    def _look_through(self, key: str) -> None:
        try:
            bundle = self._store.bundle_by_key(key)
            if bundle is None or bundle.all_modules:
                return
            known = self._store.known.read(key)
            for ref in bundle.packages:
                if ref.package.role is Role.DEBUGINFO and (
                    known is None or ref.package.id not in known.listed
                ):
                    self._list(bundle, ref)
        except (KernsymError, OSError) as error:
            log.warning("%s: its package cannot be looked through: %s", key, error)

    def _list(self, bundle: Bundle, ref: PackageRef) -> None:
        path = self._store.package_path(bundle.kernel, ref)
        if not path.is_file() and is_file_url(ref.url):
            path = file_path(ref.url)
        if not path.is_file():
            return
        layout = catalog()[bundle.kernel.distro].layout(bundle.kernel)
        with contextlib.closing(_Polite(path, self._quiet)) as package:
            modules = list_modules(package, layout, stop=self._stopped.is_set)
        if modules is not None:
            known = KnownKernel.of(bundle)
            self._store.known.remember(
                replace(known, modules=modules | known.modules, listed=(ref.package.id,))
            )
            log.info("%s: %d modules of %s are known", known.key, len(modules), ref.package.id)


def _yield_to_others() -> None:
    """Of this thread alone, and of those that it starts."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)


class _Polite(ByteSource):
    """A whole package, which is read only while it is `quiet`."""

    def __init__(self, path: Path, quiet: threading.Event) -> None:
        self._quiet = quiet
        self._file = GrowingFile()
        self._file.begin(path)
        self._file.grown(path.stat().st_size, whole=True)
        self._file.finish()

    def read_at(self, offset: int, size: int) -> bytes:
        self._quiet.wait()
        return self._file.read_at(offset, size)

    def whole(self) -> int | None:
        return self._file.whole()

    def close(self) -> None:
        self._file.close()
