"""The straight path: fingerprint → kernel → packages → files → checked → published.

Read top to bottom.  `Symbols` answers from the store or starts a job; `_bring_symbols` and
`_bring_sources` are what the jobs do.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from kernsym.cache.messages import Part, Priority, SymbolsRequest
from kernsym.distros import (
    CouldNotFindOut,
    KernsymError,
    NotIdentified,
    NotPublished,
    PackageRef,
    Refused,
    Role,
    catalog,
)
from kernsym.distros.formats.rpm_files import edition_of
from kernsym.server.collector import Collector
from kernsym.server.disk import writing
from kernsym.server.held import find_held, kernels_of, packages_of_twin, require_same
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.jobs.board import Work
from kernsym.server.mirrors.resolve import Offer, none_accepted
from kernsym.server.packages import Arriving, Packages
from kernsym.server.threads import in_thread
from kernsym.server.unpack import SourceTree, extract, extract_sources
from kernsym.server.wanted import Wanted

_ROOT = "root"
_SOURCE_ROLES = (Role.SOURCE, Role.DEBUGINFO_COMMON)


class Symbols:
    """Finds symbols in the store, or has them brought."""

    def __init__(self, store: Store, jobs: JobBoard, packages: Packages) -> None:
        self._store = store
        self._jobs = jobs
        self._packages = packages

    def held(self, request: SymbolsRequest) -> Bundle | None:
        """The bundle, when everything that is asked for is in the store.

        Raises as `find_held`.
        """
        bundle = find_held(self._store, request.fingerprint)
        if bundle is None or not _has(bundle, request):
            return None
        self._store.index.touch(bundle.kernel.key)
        return bundle

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
        return self._bring_sources if part is Part.SOURCES else self._bring_symbols

    async def _bring_symbols(self, job: Job) -> None:
        """Bring the kernel; of candidates, tried in order, the one that proves to be the dump's."""
        if not job.candidates:
            await self._bring_kernel(job)
            return
        failures: list[tuple[str, KernsymError]] = []
        for kernel in job.candidates:
            job.kernel = kernel
            try:
                await self._bring_kernel(job)
                return
            except (NotPublished, CouldNotFindOut, Refused) as error:
                failures.append((kernel.key, error))
                job.stage("candidate", f"{kernel.key}: {error.message}")
        raise none_accepted("candidates", failures)

    async def _bring_kernel(self, job: Job) -> None:
        async with self._alone(job):
            held = await asyncio.to_thread(self._store.bundle, job.kernel)
            if held is not None:
                require_same(held, job.fingerprint, by_name=not job.candidates)
                if job.wanted.satisfied_by(held):
                    return  # another process has brought it meanwhile
            layout = catalog()[job.kernel.distro].layout(job.kernel)
            root = self._store.folder(job.kernel) / _ROOT
            if held is None:  # what a run left that was killed
                await in_thread(lambda: shutil.rmtree(root, ignore_errors=True))
            collector = Collector(job, held, root)
            roles = [Role.DEBUGINFO]
            if layout.stripped is not None and (held is None or not held.first(FileRole.STRIPPED)):
                roles.insert(0, Role.KERNEL)
            try:
                packages: list[PackageRef] = []
                for role in roles:
                    packages.append(await self._accept(job, role, held, collector, packages))
            except Refused:
                await asyncio.to_thread(self._store.discard_unfinished, job.kernel)
                raise
            await in_thread(lambda: self._publish_symbols(job, tuple(packages), collector))

    async def _accept(
        self,
        job: Job,
        role: Role,
        held: Bundle | None,
        collector: Collector,
        accepted: Sequence[PackageRef],
    ) -> PackageRef:
        """Bring what is wanted from the first package of a role that is the dump's: its name does
        not tell, a rebuild or another vendor's has the same.  Those of the same build as what was
        `accepted` come first."""
        known = await asyncio.to_thread(packages_of_twin, self._store, job.kernel)
        named = edition_of(job.fingerprint.package or "")

        async def use(offer: Offer) -> PackageRef:
            collector.begin(offer.ref)
            if offer.ref.digest in known:
                raise Refused("vmlinux-mismatch", "its vmlinux is held and is not the dump's")
            if named and offer.ref.package.version != named:
                raise Refused("package-mismatch", f"it is not the build {named}")
            try:
                while not collector.satisfied():
                    offer = replace(offer, ref=await self._pass(job, offer, collector))
            except (CouldNotFindOut, Refused):
                await asyncio.to_thread(collector.reject)
                raise
            return offer.ref

        same = _build_of(accepted, held) or named
        return await self._packages.first_good(job, (role,), held, use, version=same)

    async def _pass(self, job: Job, offer: Offer, collector: Collector) -> PackageRef:
        """Read the package once, while it comes, and keep what is wanted."""
        layout = catalog()[job.kernel.distro].layout(job.kernel)
        root = self._store.folder(job.kernel) / _ROOT
        async with self._packages.open(job, offer) as arriving:
            went = await in_thread(
                lambda: extract(
                    arriving, layout, collector.wanted, root, collector.keep, stop=collector.enough
                ),
                stop=lambda: _stop(job, arriving),
            )
        await in_thread(lambda: collector.end_pass(went), stop=job.wanted.close)
        if went.complete and not collector.has_kernel():
            raise Refused(
                "package-without-vmlinux",
                f"{offer.ref.package.id} holds no vmlinux where it should",
            )
        return arriving.ref

    def _publish_symbols(
        self, job: Job, packages: tuple[PackageRef, ...], collector: Collector
    ) -> None:
        assert collector.verification is not None
        self._publish(
            Bundle(
                kernel=replace(job.kernel, build_id=collector.verification.build_id),
                verification=collector.verification,
                packages=packages,
                files=tuple(collector.files.values()),
                absent=tuple(sorted(collector.absent)),
                all_modules=collector.all_modules,
                source_prefix=collector.source_prefix,
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
            package, tree = await self._packages.first_good(
                job,
                _SOURCE_ROLES,
                held,
                lambda offer: self._unpack_sources(job, offer),
                version=_build_of((), held),
            )
            file = BundleFile(
                role=FileRole.SOURCE_TREE,
                path=f"{_ROOT}/{tree.path}",
                size=tree.size,
                sha256=package.sha256 or "",
                package=package.package.id,
            )
            bundle = replace(held, files=(*held.files, file), packages=(*held.packages, package))
            await in_thread(lambda: self._publish(bundle))
            # Nothing more is wanted from it, unlike from the package of the modules.
            for part in package.files:
                self._store.package_path(job.kernel, part).unlink(missing_ok=True)
            job.stage("sources", f"{tree.files} files")

    async def _unpack_sources(self, job: Job, offer: Offer) -> tuple[PackageRef, SourceTree]:
        layout = catalog()[job.kernel.distro].layout(job.kernel)
        root = self._store.folder(job.kernel) / _ROOT
        async with self._diff(job, offer) as diff, self._packages.open(job, offer) as arriving:
            tree = await in_thread(
                lambda: extract_sources(
                    arriving, layout, root, diff=diff, stop=lambda: job.wanted.closed
                ),
                stop=lambda: _stop(job, arriving),
            )
        if tree is None:
            raise asyncio.CancelledError
        return arriving.ref, tree

    @contextlib.asynccontextmanager
    async def _diff(self, job: Job, offer: Offer) -> AsyncIterator[Arriving | None]:
        """The diff of a source package, which has come whole; None of any other package."""
        if offer.ref.diff is None:
            yield None
            return
        part = replace(offer, ref=offer.ref.diff)
        async with self._packages.open(job, part):
            pass  # it is small, and one package at a time is on its way
        async with self._packages.open(job, part) as diff:
            yield diff

    @contextlib.asynccontextmanager
    async def _alone(self, job: Job) -> AsyncIterator[None]:
        """Alone on this part of the kernel among all processes on the store."""

        def tell(holder: int | None) -> None:
            job.stage("wait", f"process {holder or 'unknown'} is bringing the same kernel")

        def give_up() -> bool:
            job.progress("wait", self._packages.arrived(job.kernel), None)
            return job.wanted.closed

        with contextlib.ExitStack() as held:
            lock = self._store.lock(job.kernel, job.part.value, on_wait=tell, stop=give_up)
            with writing(self._store.folder(job.kernel)):
                await in_thread(lambda: held.enter_context(lock), stop=job.wanted.close)
            yield


def _stop(job: Job, source: Arriving) -> None:
    """End a thread that unpacks: at its next block, or at once where it waits for one."""
    job.wanted.close()
    source.close()


def _build_of(accepted: Sequence[PackageRef], held: Bundle | None) -> str:
    """The version of the packages that have come, "" of none."""
    refs = (*accepted, *(held.packages if held else ()))
    return refs[0].package.version if refs else ""


def _has(bundle: Bundle, request: SymbolsRequest) -> bool:
    """Whether a bundle holds what a request asks for."""
    if request.part is Part.SOURCES:
        return bundle.first(FileRole.SOURCE_TREE) is not None
    wanted = Wanted()
    wanted.add(request.modules, everything=request.all_modules)
    return wanted.satisfied_by(bundle)
