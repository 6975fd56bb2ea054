"""Which packages may hold a kernel's symbols: held, or found at a source; one after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Priority
from kernsym.cache.upkeep import Room
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
    distro_of,
)
from kernsym.distros.core.distro import BUILT_IN
from kernsym.server.bring.arriving import Arrivals
from kernsym.server.bring.room import room_for
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job
from kernsym.server.mirrors.credentials import Credentials
from kernsym.server.mirrors.machine_sources import machine_sources
from kernsym.server.mirrors.resolve import Offer, none_accepted, offers
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.turns import Turns
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.scan.folders import Folders
from kernsym.server.unpack import drop_index
from kernsym.server.watch.removals import log_collected

# Without these no symbols can be brought, so it is worth remembering that nobody publishes them.
_NEEDED = (Role.DEBUGINFO, Role.KERNEL)

# The packages of the source tree, as each distribution has it.
SOURCE_ROLES = (Role.SOURCE, Role.DEBUGINFO_COMMON)

# What a file is refused for that nobody's copy of it can be right.
_NOT_THE_DUMPS = ("vmlinux-mismatch", "package-without-vmlinux")

_Used = TypeVar("_Used")


class Packages:
    """Finds the packages of kernels; `arrivals` brings them into the store."""

    def __init__(self, store: Store, upstream: Upstream, config: ServerConfig) -> None:
        self._store = store
        self._upstream = upstream
        self._config = config
        self._folders = Folders(store.scanned)
        self._room = Room(store=store, limits=config.limits, on_collected=log_collected)
        self.arrivals = Arrivals(store, upstream, Turns(config.options.mirror_downloads))

    def reconfigure(self, config: ServerConfig) -> None:
        """Ask other sources, or with other credentials, from now on."""
        self._config = config
        self._room = replace(self._room, limits=config.limits)
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
                    async with room_for(self._room, job, ref, held):
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
        the digests that are `refused` when their turn comes, and those that the job may not take.

        Raises the three outcomes of `resolve.offers`, and `Refused` (`package-changed`) for the
        last; a sure miss is remembered for a while.
        """
        others: list[PackageRef] = []
        for ref in held.packages if held else ():
            if ref.package.role in roles and self._store.package_path(job.kernel, ref).is_file():
                yield Offer(ref=ref, source=None)
        found = self.published(
            job.kernel,
            roles,
            version=version,
            patient=job.priority is Priority.PERSON,
            tell=_telling_once(job),
        )
        # In a thread of its own: the distributions' code is synchronous.
        while offer := await asyncio.to_thread(_next, found):
            ref = offer.ref
            if ref.digest in refused:
                continue
            if job.digests and ref.digest not in job.digests:
                others.append(ref)
                continue
            signed = f"signed by {ref.signed_by}" if ref.signed_by else "no signature"
            job.stage("package", f"{ref.package.id}  {ref.origin}  {signed}")
            yield offer
        if others:
            raise _changed(job, others)

    def published(
        self,
        kernel: Kernel,
        roles: tuple[Role, ...],
        *,
        version: str = "",
        patient: bool = True,
        tell: Callable[[str], None] = lambda text: None,
    ) -> Iterator[Offer]:
        """What the sources publish of a kernel, for the first of the roles that its distribution
        names any package for; for threads.  Of what one source has, packages of `version` come
        first.  Errors as of `resolve.offers`; a sure miss is remembered for a while.
        """
        packages = _named(kernel, roles)
        needed = packages[0].role in _NEEDED
        sources = self.sources(kernel)
        self._folders.refresh(sources, tell)
        asked = (sources, self._folders.stamp())
        missed = self._store.index.miss(kernel, asked) if needed else None
        if missed is not None:
            raise missed
        distro, fetch = distro_of(kernel), self.fetch(kernel, patient=patient, tell=tell)
        found = offers(
            distro,
            kernel,
            packages,
            sources,
            fetch,
            version=version,
            pop_unsure=fetch.pop_unsure,
        )
        try:
            for offer in self._noted(kernel, found) if needed else found:
                yield from (replace(offer, ref=ref) for ref in self._folders.found(offer.ref))
        except NotPublished as error:
            if not needed:
                raise
            context = (*error.context, *self._store.publications.history(kernel))
            told = NotPublished(error.code, error.message, context=context, hint=error.hint)
            self._store.index.remember_miss(kernel, asked, told)
            raise told from error

    def _noted(self, kernel: Kernel, found: Iterator[Offer]) -> Iterator[Offer]:
        """`found`; of a kernel that is held it is noted whether anybody publishes it."""
        published = False
        try:
            for offer in found:
                if not published:
                    self._store.marks.say_published(kernel.key)
                published = True
                yield offer
        except NotPublished as error:
            if not published:
                self._store.marks.say_gone(kernel.key, error.message)
            raise

    def fetch(
        self,
        kernel: Kernel,
        *,
        patient: bool = True,
        fresh: bool = False,
        tell: Callable[[str], None] = lambda text: None,
    ) -> ThreadFetch:
        """The door through which a kernel's distribution asks."""
        distro = distro_of(kernel)
        return ThreadFetch(
            self._upstream,
            weak=distro.weakly_signed(kernel),
            fingerprints=distro.fingerprints,
            patient=patient,
            fresh=fresh,
            tell=tell,
            names=self._folders.names,
        )

    def _discard(self, kernel: Kernel, ref: PackageRef) -> None:
        """Remove what has come of a package, so that another of its name can take its place."""
        drop_index(self._store.index_path(kernel, ref))
        for path in (self._store.package_path(kernel, file) for file in ref.files):
            for name in (path.name, f"{path.name}.part", f"{path.name}.part.json"):
                path.with_name(name).unlink(missing_ok=True)

    def sources(self, kernel: Kernel) -> tuple[Source, ...]:
        """Where to ask: the configured sources, folders that were scanned, the machine's sources,
        those that are built in."""
        distro = distro_of(kernel)
        names = (distro.name, *distro.also, "*")
        given = self._folders.sources(self._config.sources)
        configured = tuple(s for s in given if s.distro in names)
        if self._config.builtin_sources:
            found = distro.sources(kernel, (*configured, *machine_sources()))
        else:
            found = tuple(s for s in distro.sources(kernel, configured) if s.origin != BUILT_IN)
        # One for every distribution is checked with the keys of this one.
        return tuple(replace(s, distro=kernel.distro) if s.distro == "*" else s for s in found)


def _named(kernel: Kernel, roles: tuple[Role, ...]) -> tuple[Package, ...]:
    """The packages that the distribution names for the first role that it names any for."""
    packages = distro_of(kernel).packages(kernel)
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


def _changed(job: Job, others: Sequence[PackageRef]) -> Refused:
    """The error where only packages are published that were not asked for."""
    return Refused(
        "package-changed",
        f"{others[0].package.id} is published with another digest than was asked for",
        context=(
            *(f"asked      {digest}" for digest in job.digests),
            *(f"published  {ref.digest}  {ref.origin}" for ref in others),
        ),
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
