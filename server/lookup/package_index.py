"""Learns, while nobody waits for anything, what lies in folders, and which build IDs the packages
have that are held or lie there: whoever asks for one can be given its file then."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from kernsym.cache import Bundle, KnownKernel, Store
from kernsym.cache.messages import Part, Priority
from kernsym.distros import Kernel, KernsymError, PackageRef, Role, Source, distro_of
from kernsym.distros.core.catalog import identify_package
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.mirrors.growing import ByteSource, GrowingFile
from kernsym.server.mirrors.upstream import file_path, is_file_url
from kernsym.server.scan.folders import folder_of
from kernsym.server.scan.walk import Stopped, scan
from kernsym.server.threads import stand_back
from kernsym.server.unpack import list_modules

log = logging.getLogger(__name__)

# The key of a kernel that is held, or a package in a folder and the name that it gives itself.
_Work = str | tuple[Path, str]

_LOOK_SECONDS = 0.5
_NICE = 19


class PackageIndex:
    """Scans the folders among the `sources` and those that somebody had scanned, every
    `scan_seconds` (0: once), and looks through one package after the other, if `enabled`.  What it
    was in the middle of when the server ended is begun anew by the next one."""

    def __init__(
        self,
        store: Store,
        sources: Sequence[Source] = (),
        *,
        enabled: bool,
        scan_seconds: float = 0.0,
    ) -> None:
        self._scan_seconds = scan_seconds
        self._store = store
        self._sources = sources
        self._enabled = enabled
        self._waiting: asyncio.Queue[_Work] = asyncio.Queue()
        self._at_work = enabled and bool(self._roots())  # nobody knows yet what lies there
        self._seen: set[_Work] = set()
        self._quiet = threading.Event()
        self._stopped = threading.Event()
        # A thread of its own, because it cannot become important again.
        self._thread = ThreadPoolExecutor(
            1, "package-index", initializer=stand_back, initargs=(_NICE,)
        )

    def reconfigure(self, config: ServerConfig) -> None:
        """Look at the folders of another configuration from the next scan on."""
        self._sources = config.sources

    def consider(self, job: Job, error: KernsymError | None) -> None:
        """A job has ended: what it brought may have to be looked through."""
        if self._enabled and error is None and job.part is not Part.SOURCES:
            self._waiting.put_nowait(job.kernel.key)

    @property
    def unread(self) -> int:
        """How many packages have still to be looked through, as far as that is known."""
        return self._waiting.qsize() + self._at_work

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
        for what in await loop.run_in_executor(self._thread, self._left_over):
            self._waiting.put_nowait(what)
        while True:
            for found in await loop.run_in_executor(self._thread, self._scan):
                self._waiting.put_nowait(found)
            self._at_work = False
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._look_through_all(), self._scan_seconds or None)
            self._at_work = True

    async def _look_through_all(self) -> None:
        """What waits, and what comes to wait, for ever."""
        loop = asyncio.get_running_loop()
        while True:
            what = await self._waiting.get()
            self._at_work = True
            # Not to be cut off by the next scan, which is this thread's work too.
            await asyncio.shield(loop.run_in_executor(self._thread, self._look_through, what))
            self._at_work = False

    def _left_over(self) -> list[_Work]:
        """Kernels that an earlier server did not come to."""
        keys: list[str] = []
        while page := self._store.files.kernels(after=keys[-1] if keys else "", limit=1000):
            keys += [kernel.key for kernel in page]
        return [key for key in keys if self._store.known.read(key) is None]

    def _roots(self) -> tuple[Path, ...]:
        folders = map(folder_of, self._sources)
        return tuple(dict.fromkeys([*filter(None, folders), *self._store.scanned.chosen()]))

    def _scan(self) -> list[_Work]:
        """See what has changed in the folders; the packages there that are to be looked through."""
        scanned = self._store.scanned
        for root in self._roots():
            with contextlib.suppress(Stopped, InterruptedError):
                try:
                    report = scan(root, scanned, stop=self._stopped.is_set)
                    log.log(
                        logging.INFO if report.changed else logging.DEBUG, "%s: %s", root, report
                    )
                except (KernsymError, OSError) as error:
                    log.warning("%s", error)
        return [found for found in scanned.unlisted() if found not in self._seen]

    def _look_through(self, what: _Work) -> None:
        try:
            if isinstance(what, tuple):
                self._seen.add(what)
                self._list_file(*what)
            elif (bundle := self._store.bundle_by_key(what)) and not bundle.all_modules:
                for ref in bundle.packages:
                    if ref.package.role is Role.DEBUGINFO:
                        self._list_held(bundle, ref)
        except (KernsymError, OSError) as error:
            log.warning("%s cannot be looked through: %s", what, error)

    def _list_held(self, bundle: Bundle, ref: PackageRef) -> None:
        path = self._store.package_path(bundle.kernel, ref)
        if not path.is_file() and is_file_url(ref.url):
            path = file_path(ref.url)
        known = KnownKernel.of(bundle)
        if path.is_file():
            index = self._store.index_path(bundle.kernel, ref)
            self._list(path, bundle.kernel, known, ref.package.id, index)

    def _list_file(self, path: Path, name: str) -> None:
        """A package of a folder, if its name tells that it is the debug package of one kernel."""
        verdict = identify_package(name)
        kernel = verdict.kernel if verdict else None
        if kernel is None or kernel.arch is None:
            return
        for package in distro_of(kernel).packages(kernel):
            is_it = fnmatchcase(name.removesuffix(".rpm"), package.id)
            if is_it and package.role is Role.DEBUGINFO:
                known = KnownKernel(key=kernel.key, package=name)
                self._list(path, kernel, known, name.removesuffix(".rpm"))

    def _list(
        self,
        path: Path,
        kernel: Kernel,
        known: KnownKernel,
        package: str,
        index: Path | None = None,
    ) -> None:
        """Learn what a package has: one that is held, with its index, or one of a folder, of which
        vmlinux is not known either."""
        before = self._store.known.read(kernel.key)
        if before is not None and package in before.listed:
            return
        layout = distro_of(kernel).layout(kernel)
        with contextlib.closing(_Polite(path, self._quiet)) as source:
            found = list_modules(
                source, layout, vmlinux=index is None, index=index, stop=self._stopped.is_set
            )
        if found is not None:
            self._store.known.remember(
                replace(known, modules=found | known.modules, listed=(package,))
            )
            log.info("%s: %d modules of %s are known", kernel.key, len(found), package)


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
