"""A kernel's packages: held, or found at a source and on their way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from kernsym.cache import Bundle, Store
from kernsym.distros import (
    CouldNotFindOut,
    Kernel,
    NotPublished,
    Package,
    PackageRef,
    Role,
    Source,
    catalog,
)
from kernsym.distros.core.distro import BUILT_IN
from kernsym.server.config import ServerConfig
from kernsym.server.download import download
from kernsym.server.growing import ByteSource, GrowingFile
from kernsym.server.jobs import Job
from kernsym.server.machine_sources import machine_sources
from kernsym.server.resolve import offers
from kernsym.server.rpm_signature import voucher
from kernsym.server.thread_fetch import ThreadFetch
from kernsym.server.upstream import Upstream, is_file_url

# vmlinux has 0.6 GB, the modules that a machine loads as much again, a source tree 1.4 GB; all
# modules of a kernel have 5.2 GB.
_ROOM_TO_UNPACK = 2 << 30
_ROOM_FOR_ALL_MODULES = 8 << 30
_MOST_GROWTH = 12  # sources shrink to a tenth, symbols to a seventh


# Without these no symbols can be brought, so it is worth remembering that nobody publishes them.
_NEEDED = (Role.DEBUGINFO, Role.KERNEL)

_RESUMED = 8 << 20  # more than this at the first report came from an earlier attempt


class Packages:
    """Finds the packages of kernels and brings them into the store."""

    def __init__(self, store: Store, upstream: Upstream, config: ServerConfig) -> None:
        self._store = store
        self._upstream = upstream
        self._config = config

    async def offers(
        self, job: Job, roles: tuple[Role, ...], held: Bundle | None
    ) -> AsyncIterator[PackageRef]:
        """The packages of a kernel for the first role of `roles` that its distribution names: the
        one that is held, else what the sources publish, one after the other.

        Raises the three outcomes of `resolve.offers`; a sure miss is remembered for a while.
        """
        for ref in held.packages if held else ():
            if ref.package.role in roles and self._store.package_path(job.kernel, ref).is_file():
                yield ref
                return
        packages = _named(job.kernel, roles)
        needed = packages[0].role in _NEEDED
        sources = await asyncio.to_thread(self._sources, job.kernel)
        missed = self._store.index.miss(job.kernel, sources) if needed else None
        if missed is not None:
            raise missed
        if self._config.offline:
            raise CouldNotFindOut(
                "offline",
                f"{packages[0].id} is not held, and no source may be asked",
                hint="run once without --offline",
            )
        found = offers(
            catalog()[job.kernel.distro],
            job.kernel,
            packages,
            sources,
            ThreadFetch(self._upstream),
        )
        try:
            # In a thread of its own: the distributions' code is synchronous.
            while offer := await asyncio.to_thread(_next, found):
                signed = f"signed by {offer.signed_by}" if offer.signed_by else "no signature"
                job.stage("package", f"{offer.package.id}  {offer.origin}  {signed}")
                yield offer
        except NotPublished as error:
            if needed:
                self._store.index.remember_miss(job.kernel, sources, error)
            raise

    def discard(self, kernel: Kernel, ref: PackageRef) -> None:
        """Remove what has come of a package, so that another of its name can take its place."""
        path = self._store.package_path(kernel, ref)
        for name in (path.name, f"{path.name}.part", f"{path.name}.part.json"):
            path.with_name(name).unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def open(self, job: Job, ref: PackageRef) -> AsyncIterator[Arriving]:
        """The package's bytes, while they come.  When the context ends well the package is whole,
        its digest was right, and it is kept."""
        growing = GrowingFile()
        task = asyncio.create_task(self._download(job, ref, growing))

        def tell(end: int) -> None:
            if task.done():  # until then the download's progress says more
                job.progress("unpack", end, ref.size)

        try:
            yield Arriving(growing, tell)
            await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            growing.close()

    def arrived(self, kernel: Kernel) -> int:
        """Bytes of the kernel's packages that lie in the store, whole or not."""
        folder = self._store.folder(kernel) / "packages"
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())

    async def _download(self, job: Job, ref: PackageRef, growing: GrowingFile) -> None:
        began, first, last = time.monotonic(), 0, 0

        def tell(done: int, total: int | None) -> None:
            nonlocal first, last
            resumed = not last and done > _RESUMED
            job.downloaded(0 if held or resumed else max(done - last, 0))
            first, last = first or done, done
            job.progress("download", done, total)

        target = self._store.package_path(job.kernel, ref)
        held = target.is_file() or is_file_url(ref.url)
        room = _ROOM_FOR_ALL_MODULES if job.wanted.everything else _ROOM_TO_UNPACK
        if ref.size is not None:
            room = min(room, _MOST_GROWTH * ref.size)
        await download(self._upstream, ref, target, growing, room=room, on_progress=tell)
        if ref.signed_by is None:
            await asyncio.to_thread(self._check_voucher, job, ref, growing)
        if not held:
            seconds = max(time.monotonic() - began, 0.001)
            rate = (last - first) / seconds / 1e6
            resumed = f", {first / 1e6:.0f} MB of it from before" if first > _RESUMED else ""
            job.stage("download", f"{last / 1e6:.0f} MB, {rate:.0f} MB/s{resumed}")

    def _check_voucher(self, job: Job, ref: PackageRef, package: ByteSource) -> None:
        """The signature that a package carries itself, where its index had none."""
        sources = self._sources(job.kernel)
        source = next((source for source in sources if source.place == ref.origin), None)
        signer = voucher(package, source) if source else None
        if signer is not None:
            job.stage("signature", f"{ref.package.id} is itself signed by {signer}")

    def _sources(self, kernel: Kernel) -> tuple[Source, ...]:
        """Where to ask: the configured sources, the machine's, those that are built in."""
        distro = catalog()[kernel.distro]
        names = (distro.name, *distro.also, "*")
        configured = tuple(s for s in self._config.sources if s.distro in names)
        if self._config.builtin_sources:
            return distro.sources(kernel, (*configured, *machine_sources()))
        return tuple(s for s in distro.sources(kernel, configured) if s.origin != BUILT_IN)


def _named(kernel: Kernel, roles: tuple[Role, ...]) -> tuple[Package, ...]:
    """The packages that the distribution names for the first role that it names any for."""
    packages = catalog()[kernel.distro].packages(kernel)
    for role in roles:
        if found := tuple(package for package in packages if package.role is role):
            return found
    raise NotPublished("not-published", f"{kernel.distro} has no {roles[0].value} package")


def _next(found: Iterator[PackageRef]) -> PackageRef | None:
    """StopIteration cannot pass through a future."""
    return next(found, None)


class Arriving:
    """A `ByteSource` that tells how far it was read."""

    def __init__(self, source: GrowingFile, on_read: Callable[[int], None]) -> None:
        self._source = source
        self._on_read = on_read

    def read_at(self, offset: int, size: int) -> bytes:
        data = self._source.read_at(offset, size)
        self._on_read(offset + len(data))
        return data

    def close(self) -> None:
        """Let nobody wait any longer: what has not come will not."""
        self._source.close()
