"""Brings a kernel's source tree, once its symbols are held."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from kernsym.cache import BundleFile, FileRole, Store
from kernsym.distros import NotIdentified, PackageRef, distro_of
from kernsym.server.bring.arriving import Arriving
from kernsym.server.bring.packages import SOURCE_ROLES, Packages
from kernsym.server.bring.work import ROOT, alone, build_of, publish, stop_unpacking
from kernsym.server.jobs import Job
from kernsym.server.mirrors.resolve import Offer
from kernsym.server.threads import in_thread
from kernsym.server.unpack import SourceTree, extract_sources


class SourcesBringer:
    """`bring` is the work of a job."""

    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages

    async def bring(self, job: Job) -> None:
        async with alone(self._store, self._packages.arrivals, job):
            held = await asyncio.to_thread(self._store.bundle, job.kernel)
            if held is None:
                raise NotIdentified("not-held", "bring the kernel's symbols before its sources")
            if held.first(FileRole.SOURCE_TREE) is not None:
                return
            package, tree = await self._packages.first_good(
                job,
                SOURCE_ROLES,
                held,
                lambda offer: self._unpack_sources(job, offer),
                version=build_of((), held),
            )
            file = BundleFile(
                role=FileRole.SOURCE_TREE,
                path=f"{ROOT}/{tree.path}",
                size=tree.size,
                sha256=package.sha256 or "",
                package=package.package.id,
            )
            bundle = replace(
                held,
                files=(*held.files, file),
                packages=(*held.packages, package),
                unchecked=(),  # what is marked meanwhile stays so, or no longer is
            )
            await in_thread(lambda: publish(self._store, bundle))
            # Nothing more is wanted from it, unlike from the package of the modules.
            for part in package.files:
                self._store.package_path(job.kernel, part).unlink(missing_ok=True)
            job.stage("sources", f"{tree.files} files")

    async def _unpack_sources(self, job: Job, offer: Offer) -> tuple[PackageRef, SourceTree]:
        layout = distro_of(job.kernel).layout(job.kernel)
        root = self._store.folder(job.kernel) / ROOT
        async with (
            self._diff(job, offer) as diff,
            self._packages.arrivals.open(job, offer) as arriving,
        ):
            tree = await in_thread(
                lambda: extract_sources(
                    arriving, layout, root, diff=diff, stop=lambda: job.wanted.closed
                ),
                stop=lambda: stop_unpacking(job, arriving),
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
        async with self._packages.arrivals.open(job, part):
            pass  # it is small, and one package at a time is on its way
        async with self._packages.arrivals.open(job, part) as diff:
            yield diff
