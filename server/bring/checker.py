"""Fetches whole the packages of which parts were used, and proves that the parts were right."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kernsym.cache import Bundle, Store, Unchecked
from kernsym.cache.messages import Part
from kernsym.distros import CouldNotFindOut, PackageRef, Refused
from kernsym.server.bring.packages import Packages
from kernsym.server.bring.work import alone
from kernsym.server.jobs import Job
from kernsym.server.mirrors.ranged_file import RangedFile
from kernsym.server.mirrors.resolve import Offer
from kernsym.server.threads import in_thread


class PackageChecker:
    """`bring` is the work of a job in the background; a person's job does it before its own."""

    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages

    async def bring(self, job: Job) -> None:
        await self.check(job, lambda mark: mark.later)

    async def check(self, job: Job, concerns: Callable[[Unchecked], bool]) -> None:
        """Check the files of a kernel whose mark this concerns; whatever is not as it was published
        is withdrawn with all that is held of the kernel.

        Raises `Refused` (`withdrawn`), and what kept the packages from coming.
        """
        bundle = await asyncio.to_thread(self._store.bundle, job.kernel)
        if bundle is None or not any(map(concerns, bundle.unchecked)):
            return
        try:
            async with alone(self._store, self._packages.arrivals, job, Part.CHECK):
                for mark in filter(concerns, bundle.unchecked):
                    await self._fetch(job, bundle, mark)
            async with alone(self._store, self._packages.arrivals, job, Part.SYMBOLS):
                await in_thread(lambda: self._compare(job, concerns), stop=job.wanted.close)
        except Refused as error:
            why = f"the files of {bundle.kernel.key} that came by ranges were wrong"
            self._store.index.remember_withdrawal(bundle.kernel.key, f"{why}: {error.message}")
            await asyncio.to_thread(self._store.removal.remove, bundle)  # pinned or not
            raise Refused(
                "withdrawn",
                f"{why} and are removed",
                context=(error.message, *error.context),
                hint="whoever used them has to ask again; then the whole package is fetched",
            ) from error

    async def _fetch(self, job: Job, bundle: Bundle, mark: Unchecked) -> None:
        """Have the whole of a package come, from wherever it is published."""
        published = _package_of(bundle, mark)

        async def use(offer: Offer) -> None:
            if (offer.ref.package.id, offer.ref.digest) != (published.package.id, published.digest):
                raise CouldNotFindOut("package-mismatch", "it is another package")
            async with self._packages.arrivals.open(job, offer):
                pass

        await self._packages.first_good(job, (published.package.role,), bundle, use)

    def _compare(self, job: Job, concerns: Callable[[Unchecked], bool]) -> None:
        """Raises `Refused` (`parts-differ`) unless what was used of packages stands so in them."""
        bundle = self._store.bundle(job.kernel)
        for mark in filter(concerns, bundle.unchecked if bundle else ()):
            assert bundle is not None
            package = _package_of(bundle, mark)
            whole = self._store.package_path(job.kernel, package)
            parts = RangedFile(package, whole)
            if not (parts.look() and parts.agrees_with(whole)):
                parts.close()
                raise Refused(
                    "parts-differ", f"what came of {mark.package} by ranges does not stand in it"
                )
            self._store.mark_checked(job.kernel, mark.package)
            parts.discard()
            job.stage("checked", f"{mark.package} has come whole and is as it was published")


def _package_of(bundle: Bundle, mark: Unchecked) -> PackageRef:
    return next(ref for ref in bundle.packages if ref.package.id == mark.package)
