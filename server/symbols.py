"""The straight path: fingerprint → kernel → packages → files → checked → published.

Read top to bottom.  `Symbols` answers from the store or starts a job; `_bring_symbols` and
`_bring_sources` are what the jobs do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from kernsym.cache.messages import Part, SymbolsRequest
from kernsym.distros import (
    Fingerprint,
    Kernel,
    NotIdentified,
    PackageRef,
    Refused,
    Role,
    catalog,
    identify,
)
from kernsym.server.collector import Collector
from kernsym.server.disk import writing
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.packages import Packages
from kernsym.server.unpack import extract, extract_sources
from kernsym.server.verify import VmlinuxIdentity, check
from kernsym.server.wanted import Wanted

_ROOT = "root"
_MOST_PASSES = 5


class Symbols:
    """Finds symbols in the store, or has them brought."""

    def __init__(self, store: Store, jobs: JobBoard, packages: Packages) -> None:
        self._store = store
        self._jobs = jobs
        self._packages = packages

    def held(self, request: SymbolsRequest) -> Bundle | None:
        """The bundle, when everything that is asked for is in the store.

        Raises `Refused` (`vmlinux-mismatch`) when what is held under the kernel's name is not the
        kernel of the fingerprint.
        """
        bundle = self._find(request.fingerprint)
        if bundle is None or not _has(bundle, request):
            return None
        self._store.index.touch(bundle.kernel.key)
        return bundle

    def start(self, request: SymbolsRequest) -> Job:
        """The job that brings what is asked for: the one that runs, or a new one.

        Raises `NotIdentified` (`ambiguous`, `unsupported`, `unknown`, `arch-unknown`).
        """
        held = self._find(request.fingerprint)
        kernel = held.kernel if held else _certain_kernel(request.fingerprint)
        job = self._jobs.running(kernel, request.part)
        if job is None:
            work = self._bring_sources if request.part is Part.SOURCES else self._bring_symbols
            job = self._jobs.start(kernel, request.part, request.fingerprint, work)
        job.wanted.add(request.modules, everything=request.all_modules)
        return job

    def _find(self, fingerprint: Fingerprint) -> Bundle | None:
        kernel = identify(fingerprint).kernel
        bundle = self._store.bundle(kernel) if kernel and kernel.arch else None
        if bundle is None and fingerprint.build_id:
            held = self._store.find_build_id(fingerprint.build_id)
            bundle = held.bundle if held else None
            if not fingerprint.banner and not fingerprint.release:
                return bundle  # a build ID alone: of vmlinux or of any module
        if bundle is None and fingerprint.banner:
            bundle = self._store.find_banner(fingerprint.banner)
        if bundle is not None:
            shown = bundle.verification
            check(fingerprint, VmlinuxIdentity(banner=shown.banner, build_id=shown.build_id))
        return bundle

    async def _bring_symbols(self, job: Job) -> None:
        async with self._alone(job):
            held = await asyncio.to_thread(self._store.bundle, job.kernel)
            if held is not None and _satisfies(held, job.wanted):
                return  # another process has brought it meanwhile
            package = await self._packages.find(job, Role.DEBUGINFO, held)
            root = self._store.folder(job.kernel) / _ROOT
            collector = Collector(job, held, package.package.id, root)
            while not collector.satisfied():
                await self._pass(job, package, collector, root)
            await asyncio.to_thread(self._publish_symbols, job, package, collector)

    async def _pass(self, job: Job, package: PackageRef, collector: Collector, root: Path) -> None:
        """Read the package once, while it comes, and keep what is wanted."""
        layout = catalog()[job.kernel.distro].layout(job.kernel)
        async with self._packages.open(job, package) as source:
            went = await asyncio.to_thread(
                extract,
                source,
                layout,
                collector.wanted,
                root,
                collector.keep,
                stop=collector.enough,
            )
        collector.end_pass(went)
        if went.complete and collector.verification is None:
            raise Refused(
                "package-without-vmlinux", f"{package.package.id} holds no vmlinux where it should"
            )

    def _publish_symbols(self, job: Job, package: PackageRef, collector: Collector) -> None:
        assert collector.verification is not None
        self._publish(
            Bundle(
                kernel=replace(job.kernel, build_id=collector.verification.build_id),
                verification=collector.verification,
                packages=(package,),
                files=tuple(collector.files.values()),
                absent=tuple(sorted(collector.absent)),
                all_modules=collector.all_modules,
            )
        )
        job.stage("unpack", f"{len(collector.files)} files held")

    def _publish(self, bundle: Bundle) -> None:
        with writing(self._store.folder(bundle.kernel) / "manifest.json"):
            self._store.publish(bundle)

    async def _bring_sources(self, job: Job) -> None:
        async with self._alone(job):
            held = await asyncio.to_thread(self._store.bundle, job.kernel)
            if held is None:
                raise NotIdentified("not-held", "bring the kernel's symbols before its sources")
            if held.first(FileRole.SOURCE_TREE) is not None:
                return
            package = await self._packages.find(job, Role.SOURCE, held)
            layout = catalog()[job.kernel.distro].layout(job.kernel)
            root = self._store.folder(job.kernel) / _ROOT
            async with self._packages.open(job, package) as source:
                tree = await asyncio.to_thread(
                    extract_sources,
                    source,
                    layout,
                    root,
                    stop=lambda: job.wanted.closed,
                )
            if tree is None:
                raise asyncio.CancelledError
            file = BundleFile(
                role=FileRole.SOURCE_TREE,
                path=f"{_ROOT}/{tree.path}",
                size=tree.size,
                sha256=package.sha256 or "",
                package=package.package.id,
            )
            bundle = replace(held, files=(*held.files, file), packages=(*held.packages, package))
            await asyncio.to_thread(self._publish, bundle)
            # Nothing more is wanted from it, unlike from the package of the modules.
            self._store.package_path(job.kernel, package).unlink(missing_ok=True)
            job.stage("sources", f"{tree.files} files")

    @contextlib.asynccontextmanager
    async def _alone(self, job: Job) -> AsyncIterator[None]:
        """Alone on this part of the kernel among all processes on the store."""

        def tell(holder: int | None) -> None:
            job.stage("wait", f"process {holder or 'unknown'} is bringing the same kernel")

        def give_up() -> bool:
            job.progress("wait", self._packages.arrived(job.kernel), None)
            return job.wanted.closed

        lock = self._store.lock(job.kernel, job.part.value, on_wait=tell, stop=give_up)
        await asyncio.to_thread(lock.__enter__)
        try:
            yield
        finally:
            lock.__exit__(None, None, None)


def _certain_kernel(fingerprint: Fingerprint) -> Kernel:
    """The one kernel that the fingerprint is of."""
    verdict = identify(fingerprint)
    if verdict.kernel is None:
        raise NotIdentified(
            verdict.outcome.value,
            verdict.reason,
            context=verdict.evidence,
            hint="kernsym identify shows what was found and why",
        )
    if verdict.kernel.arch is None:
        raise NotIdentified(
            "arch-unknown", f"the evidence does not tell the architecture of {verdict.kernel.uname}"
        )
    return verdict.kernel


def _has(bundle: Bundle, request: SymbolsRequest) -> bool:
    """Whether a bundle holds what a request asks for."""
    if request.part is Part.SOURCES:
        return bundle.first(FileRole.SOURCE_TREE) is not None
    wanted = Wanted()
    wanted.add(request.modules, everything=request.all_modules)
    return _satisfies(bundle, wanted)


def _satisfies(bundle: Bundle, wanted: Wanted) -> bool:
    if wanted.everything and not bundle.all_modules:
        return False
    return wanted.names() <= {*bundle.modules(), *bundle.absent}
