"""A kernel's packages: held, or found at a source and on their way."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from kernsym.cache import Bundle, Store
from kernsym.distros import (
    CouldNotFindOut,
    Kernel,
    KernsymError,
    NotPublished,
    Package,
    PackageRef,
    Refused,
    Role,
    Source,
    catalog,
)
from kernsym.distros.core.distro import BUILT_IN
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job
from kernsym.server.mirrors.checked import CheckedFiles
from kernsym.server.mirrors.credentials import Credentials
from kernsym.server.mirrors.download import download
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.machine_sources import machine_sources
from kernsym.server.mirrors.resolve import Offer, none_accepted, offers
from kernsym.server.mirrors.rpm_signature import voucher
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Upstream, is_file_url

# vmlinux has 0.6 GB, the modules that a machine loads as much again, a source tree 1.4 GB; all
# modules of a kernel have 5.2 GB.
_ROOM_TO_UNPACK = 2 << 30
_ROOM_FOR_ALL_MODULES = 8 << 30
_MOST_GROWTH = 12  # sources shrink to a tenth, symbols to a seventh

# Without these no symbols can be brought, so it is worth remembering that nobody publishes them.
_NEEDED = (Role.DEBUGINFO, Role.KERNEL)

# What a file is refused for that nobody's copy of it can be right.
_NOT_THE_DUMPS = ("vmlinux-mismatch", "package-without-vmlinux")

_Used = TypeVar("_Used")

_RESUMED = 8 << 20  # more than this at the first report came from an earlier attempt


class Packages:
    """Finds the packages of kernels and brings them into the store."""

    def __init__(self, store: Store, upstream: Upstream, config: ServerConfig) -> None:
        self._store = store
        self._upstream = upstream
        self._config = config
        self._checked = CheckedFiles()

    def reconfigure(self, config: ServerConfig) -> None:
        """Ask other sources, or with other credentials, from now on."""
        self._config = config
        self._upstream.use(Credentials(config.credentials))

    async def first_good(
        self,
        job: Job,
        roles: tuple[Role, ...],
        held: Bundle | None,
        use: Callable[[Offer], Awaitable[_Used]],
        *,
        version: str = "",
    ) -> _Used:
        """What `use` makes of the first package that it takes: of a kernel's packages for the
        first role of `roles` that its distribution names any for.

        `use` raises `Refused` or `CouldNotFindOut` for a package that it does not take.  The next
        may be another copy of the same file, where a mirror failed or sent something else; a file
        that is not the dump's is not asked for again.  Of what one source has, packages of
        `version` come first.

        Raises the three outcomes: that of the only one, or as `none_accepted` of several.
        """
        failures: list[tuple[str, KernsymError]] = []
        refused: set[str] = set()
        try:
            async for offer in self._offers(job, roles, held, refused, version):
                ref = offer.ref
                try:
                    return await use(offer)
                except (CouldNotFindOut, Refused) as error:
                    failures.append((f"{ref.package.id} of {ref.origin}", error))
                    wrong = isinstance(error, Refused)
                    stage = "refused" if wrong else "failed"
                    job.stage(stage, f"{ref.package.id} of {ref.origin}: {error.message}")
                    if wrong:
                        await asyncio.to_thread(self._discard, job.kernel, ref)
                    if error.code in _NOT_THE_DUMPS and ref.digest:
                        refused.add(ref.digest)
        except (NotPublished, CouldNotFindOut, Refused) as error:
            failures.append(("the sources", error))
        raise none_accepted("packages", failures)

    async def _offers(
        self,
        job: Job,
        roles: tuple[Role, ...],
        held: Bundle | None,
        refused: Container[str],
        version: str,
    ) -> AsyncIterator[Offer]:
        """The package that is held, then what the sources publish, one after the other, but for
        the digests that are `refused` when their turn comes.

        Raises the three outcomes of `resolve.offers`; a sure miss is remembered for a while.
        """
        for ref in held.packages if held else ():
            if ref.package.role in roles and self._store.package_path(job.kernel, ref).is_file():
                yield Offer(ref=ref, source=None)
        packages = _named(job.kernel, roles)
        needed = packages[0].role in _NEEDED
        sources = await asyncio.to_thread(self._sources, job.kernel)
        missed = self._store.index.miss(job.kernel, sources) if needed else None
        if missed is not None:
            raise missed
        found = self._ask(job, packages, sources, version)
        try:
            # In a thread of its own: the distributions' code is synchronous.
            while offer := await asyncio.to_thread(_next, found):
                ref = offer.ref
                if ref.digest in refused:
                    continue
                signed = f"signed by {ref.signed_by}" if ref.signed_by else "no signature"
                job.stage("package", f"{ref.package.id}  {ref.origin}  {signed}")
                yield offer
        except NotPublished as error:
            if needed:
                self._store.index.remember_miss(job.kernel, sources, error)
            raise

    def _ask(
        self, job: Job, packages: Sequence[Package], sources: Sequence[Source], version: str
    ) -> Iterator[Offer]:
        distro = catalog()[job.kernel.distro]
        fetch = ThreadFetch(
            self._upstream,
            weak=distro.weakly_signed(job.kernel),
            fingerprints=distro.fingerprints,
            tell=_telling_once(job),
        )
        return offers(
            distro,
            job.kernel,
            packages,
            sources,
            fetch,
            version=version,
            pop_unsure=fetch.pop_unsure,
        )

    def _discard(self, kernel: Kernel, ref: PackageRef) -> None:
        """Remove what has come of a package, so that another of its name can take its place."""
        for path in (self._store.package_path(kernel, file) for file in ref.files):
            for name in (path.name, f"{path.name}.part", f"{path.name}.part.json"):
                path.with_name(name).unlink(missing_ok=True)

    @contextlib.asynccontextmanager
    async def open(self, job: Job, offer: Offer) -> AsyncIterator[Arriving]:
        """The package's bytes, while they come.  When the context ends well the package is whole,
        its digest was right, it is as signed as its source demands, and it is kept."""
        growing = GrowingFile()
        task = asyncio.create_task(self._download(job, offer, growing))

        def tell(end: int) -> None:
            if task.done():  # until then the download's progress says more
                job.progress("unpack", end, offer.ref.size)

        arriving = Arriving(growing, offer.ref, tell)
        try:
            yield arriving
            arriving.ref = await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            growing.close()

    def arrived(self, kernel: Kernel) -> int:
        """Bytes of the kernel's packages that lie in the store, whole or not."""
        folder = self._store.folder(kernel) / "packages"
        return sum(path.stat().st_size for path in folder.glob("*") if path.is_file())

    async def _download(self, job: Job, offer: Offer, growing: GrowingFile) -> PackageRef:
        """Brings the package; its reference, with who signed it."""
        ref = offer.ref
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
        await download(
            self._upstream, ref, target, growing, room=room, on_progress=tell, checked=self._checked
        )
        if not held:
            seconds = max(time.monotonic() - began, 0.001)
            rate = (last - first) / seconds / 1e6
            resumed = f", {first / 1e6:.0f} MB of it from before" if first > _RESUMED else ""
            job.stage("download", f"{last / 1e6:.0f} MB, {rate:.0f} MB/s{resumed}")

        if offer.source is None or ref.signed_by is not None:
            return ref
        weak = catalog()[job.kernel.distro].weakly_signed(job.kernel)
        signer = await asyncio.to_thread(voucher, growing, offer.source, weak=weak)
        if signer is not None:
            job.stage("signature", f"{ref.package.id} is itself signed by {signer}")
        return replace(ref, signed_by=signer)

    def _sources(self, kernel: Kernel) -> tuple[Source, ...]:
        """Where to ask: the configured sources, the machine's, those that are built in."""
        distro = catalog()[kernel.distro]
        names = (distro.name, *distro.also, "*")
        configured = tuple(s for s in self._config.sources if s.distro in names)
        if self._config.builtin_sources:
            found = distro.sources(kernel, (*configured, *machine_sources()))
        else:
            found = tuple(s for s in distro.sources(kernel, configured) if s.origin != BUILT_IN)
        # One for every distribution is checked with the keys of this one.
        return tuple(replace(s, distro=kernel.distro) if s.distro == "*" else s for s in found)


def _named(kernel: Kernel, roles: tuple[Role, ...]) -> tuple[Package, ...]:
    """The packages that the distribution names for the first role that it names any for."""
    packages = catalog()[kernel.distro].packages(kernel)
    for role in roles:
        if found := tuple(package for package in packages if package.role is role):
            return found
    raise NotPublished(
        "not-published",
        f"no package with the {roles[0].value} of {kernel.uname} is known",
        hint="if you have the tree, `directory TREE` in crash or gdb shows it"
        if Role.SOURCE in roles
        else None,
    )


def _telling_once(job: Job) -> Callable[[str], None]:
    """What tells a job of old lists, of each once."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            job.stage("index", text)

    return tell


def _next(found: Iterator[Offer]) -> Offer | None:
    """StopIteration cannot pass through a future."""
    return next(found, None)


class Arriving:
    """A package on its way, as a `ByteSource` that tells how far it was read.

    `ref`: as the source published it; once `Packages.open` has ended well, with what was verified.
    """

    def __init__(
        self, source: GrowingFile, ref: PackageRef, on_read: Callable[[int], None]
    ) -> None:
        self.ref = ref
        self._source = source
        self._on_read = on_read

    def read_at(self, offset: int, size: int) -> bytes:
        data = self._source.read_at(offset, size)
        self._on_read(offset + len(data))
        return data

    def whole(self) -> int | None:
        return self._source.whole()

    def close(self) -> None:
        """Let nobody wait any longer: what has not come will not."""
        self._source.close()
