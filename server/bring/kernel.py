"""Brings vmlinux and modules: fingerprint → packages → files → checked → published."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import Part, Partial
from kernsym.distros import (
    CouldNotFindOut,
    KernsymError,
    NotPublished,
    PackageRef,
    Refused,
    Role,
    distro_of,
)
from kernsym.distros.formats.rpm_files import edition_of
from kernsym.server.bring.checker import PackageChecker
from kernsym.server.bring.collector import Collector
from kernsym.server.bring.in_part import PartBringer
from kernsym.server.bring.lying import take_lying, without_the_rest
from kernsym.server.bring.packages import Packages
from kernsym.server.bring.work import ROOT, alone, build_of, publish, stop_unpacking
from kernsym.server.held import packages_of_twin, require_same
from kernsym.server.jobs import Job
from kernsym.server.mirrors.resolve import Offer, none_accepted
from kernsym.server.threads import in_thread
from kernsym.server.unpack import Pass, extract, keep_index


class KernelBringer:
    """Read top to bottom: `bring` is the work of a job."""

    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages
        self._parts = PartBringer(store, packages.arrivals)
        self._checker = PackageChecker(store, packages)

    async def bring(self, job: Job) -> None:
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
        if job.partial is Partial.NO:
            await self._checker.check(job, lambda mark: not mark.for_all)
        withdrawn = self._store.index.withdrawal(job.kernel.key)
        if withdrawn is not None:
            job.stage("withdrawn", withdrawn)
        async with alone(self._store, self._packages.arrivals, job):
            held = await asyncio.to_thread(self._store.bundle, job.kernel)
            if held is not None:
                require_same(held, job.fingerprint, by_name=not job.candidates)
                if job.wanted.satisfied_by(held):
                    return  # another process has brought it meanwhile
            if not job.candidates:  # what proves the dump's does not prove whose it is
                take = partial(take_lying, self._store, job, held)
                held = await in_thread(take, stop=job.wanted.close)
                if held is not None and job.wanted.satisfied_by(held):
                    return
            try:
                await self._bring_packages(job, held)
            except (NotPublished, CouldNotFindOut):
                if held is None or held.packages:
                    raise
                await in_thread(partial(without_the_rest, self._store, job, held))

    async def _bring_packages(self, job: Job, held: Bundle | None) -> None:
        layout = distro_of(job.kernel).layout(job.kernel)
        root = self._store.folder(job.kernel) / ROOT
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

        same = build_of(accepted, held) or named
        return await self._packages.first_good(job, (role,), held, use, version=same)

    async def _pass(self, job: Job, offer: Offer, collector: Collector) -> PackageRef:
        """Read the package once, or parts of it, while it comes, and keep what is wanted."""
        terms = self._parts.terms(job, offer)
        went = await self._parts.take(job, offer, terms, collector) if terms else None
        ref = offer.ref
        if went is None:
            went, ref = await self._pass_whole(job, offer, collector)
        await in_thread(lambda: collector.end_pass(went), stop=job.wanted.close)
        if went.complete and not collector.has_kernel():
            raise Refused(
                "package-without-vmlinux",
                f"{ref.package.id} holds no vmlinux where it should",
            )
        return ref

    async def _pass_whole(
        self, job: Job, offer: Offer, collector: Collector
    ) -> tuple[Pass, PackageRef]:
        """What a pass went by, and the package with what was verified of it."""
        layout = distro_of(job.kernel).layout(job.kernel)
        root = self._store.folder(job.kernel) / ROOT
        is_large = offer.ref.package.role is Role.DEBUGINFO  # and asked for more than once
        index = self._store.index_path(job.kernel, offer.ref) if is_large else None
        arrivals = self._packages.arrivals
        # Who fetches the package to check it does the same.
        check = alone(self._store, arrivals, job, Part.CHECK)
        async with check, arrivals.open(job, offer) as arriving:
            with job.coming.from_package(offer.ref.package.id):
                arriving.when_right(job.coming.package_is_right)
                went = await in_thread(
                    lambda: extract(
                        arriving,
                        layout,
                        collector.wanted,
                        root,
                        collector.keep,
                        stop=collector.enough,
                        index=index,
                        on_begin=job.coming.begin,
                        for_later=collector.for_later,
                    ),
                    stop=lambda: stop_unpacking(job, arriving),
                )
        if went.indexed and index is not None:
            await asyncio.to_thread(keep_index, index)
        return went, arriving.ref

    def _publish_symbols(
        self, job: Job, packages: tuple[PackageRef, ...], collector: Collector
    ) -> None:
        assert collector.verification is not None
        publish(
            self._store,
            Bundle(
                kernel=replace(job.kernel, build_id=collector.verification.build_id),
                verification=collector.verification,
                packages=packages,
                files=tuple(collector.files.values()),
                absent=tuple(sorted(collector.absent)),
                all_modules=collector.all_modules,
                source_prefix=collector.source_prefix,
                unchecked=tuple(collector.unchecked.values()),
            ),
        )
        self._store.index.forget_withdrawal(job.kernel.key)
        job.stage("unpack", f"{len(collector.files)} files held")
