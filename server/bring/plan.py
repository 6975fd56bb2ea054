"""What would be brought for a fingerprint, and what could be: answered without bringing it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Part, SymbolsRequest
from kernsym.cache.planning import (
    Choice,
    PublishedBuild,
    PublishedList,
    PublishedRequest,
    Resolution,
    ResolvedKernel,
    ResolveRequest,
)
from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    Kernel,
    KernsymError,
    NotPublished,
    PackageRef,
    Refused,
    Role,
    Series,
    Source,
    Unusable,
    catalog,
    distro_of,
    identify,
)
from kernsym.distros.formats import published
from kernsym.distros.formats.published import PublishedKernel
from kernsym.server.bring.packages import SOURCE_ROLES, Packages
from kernsym.server.held import find_held, has, identified, kernels_of, only_build_id
from kernsym.server.mirrors.resolve import none_accepted, outcome

_LIST_SECONDS = 300.0  # mirrors change a few times a day
_THREADS = 4  # each keeps a core busy with the lists of packages
_ANY_ARCH = "x86_64"  # of a name that does not tell it, where nobody says


class Plans:
    """Everything here asks without patience: a plan is about many kernels."""

    def __init__(self, store: Store, packages: Packages) -> None:
        self._store = store
        self._packages = packages
        # Not the loop's own threads: what these wait for needs some of them.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="plan")
        self._listed: dict[tuple[Source, str, str | None], tuple[float, _Listed]] = {}
        self._listing = threading.Lock()

    async def resolve(self, request: ResolveRequest) -> Resolution:
        """The packages that would be tried.

        Raises as `kernels_of`, the three outcomes of `resolve.offers`, and `CouldNotFindOut`
        (`build-id-alone`) where a build ID would have to be looked for first.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._resolve, request)

    async def published(self, request: PublishedRequest) -> PublishedList:
        """The kernels of a series that the sources publish, newest first.

        Raises `Unusable` (`no-such-series`), and the error that says most when none is found.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._published, request)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _resolve(self, request: ResolveRequest) -> Resolution:
        wanted = request.wanted
        proves = _proves(wanted.fingerprint)
        bundle = find_held(self._store, wanted.fingerprint) if proves else None
        if bundle is not None and has(bundle, wanted):
            return Resolution(kernels=(_held(bundle, wanted),))
        if only_build_id(wanted.fingerprint):
            raise CouldNotFindOut(
                "build-id-alone",
                f"which kernel has the build ID {wanted.fingerprint.build_id} is found out when "
                "it is brought",
            )
        if (like := _namesake(wanted.fingerprint, request.series)) is not None:
            return self._resolve_name(request, like)
        kernels, _ = (
            kernels_of(self._store, wanted.fingerprint)
            if proves
            else identified(wanted.fingerprint)
        )
        failures: list[tuple[str, KernsymError]] = []
        for place, kernel in enumerate(kernels):
            try:
                choices = tuple(self._choices(kernel, wanted.part, every=request.every))
            except (NotPublished, CouldNotFindOut, Refused) as error:
                failures.append((kernel.key, error))
                continue
            found = ResolvedKernel(
                kernel=kernel,
                fingerprint=self._asked_with(wanted.fingerprint, kernel, choices),
                choices=choices,
                instead_of=kernels[:place] + kernels[place + 1 :],
            )
            return Resolution(kernels=(self._mark_held(found, wanted),))
        raise none_accepted("candidates", failures)

    def _published(self, request: PublishedRequest) -> PublishedList:
        series = request.series
        distro = catalog().get(request.distro)
        like = distro.typical(series) if distro else None
        if like is None:
            raise Unusable(
                "no-such-series",
                f"{request.distro} has no series {series.name!r} that is known",
                hint=f"distributions: {', '.join(catalog())}; series as jammy, 22.04, 9 or 15-SP5",
            )
        found, failures, answers = self._list(like)
        builds = [one for one in found if _is_of(one.kernel, like, series.line)]
        if not builds and not failures:
            answers += ("none of them has such a kernel",)
        if not builds:
            name = f"a kernel of {like.distro} {series.name} {like.flavour}".rstrip()
            raise outcome(name, failures, answers)
        builds.sort(key=lambda one: published.age(one.kernel), reverse=True)
        return PublishedList(
            builds=tuple(PublishedBuild(kernel=one.kernel, ref=one.ref) for one in builds),
            unanswered=tuple(error.message for error in failures),
        )

    def _resolve_name(self, request: ResolveRequest, like: Kernel) -> Resolution:
        """The kernels of a name that several uploads may share: as many as are published."""
        resolved = []
        for kernel in self._builds_named(request.wanted.fingerprint.release or "", like):
            choices = tuple(self._choices(kernel, request.wanted.part, every=request.every))
            found = ResolvedKernel(
                kernel=kernel,
                fingerprint=self._asked_with(Fingerprint(), kernel, choices),
                choices=choices,
            )
            resolved.append(self._mark_held(found, request.wanted))
        return Resolution(kernels=tuple(resolved))

    def _builds_named(self, name: str, like: Kernel) -> list[Kernel]:
        """The kernels of a name: of the lists, else of what archives of old ones keep."""
        found, failures, answers = self._list(like)
        listed = [one.kernel for one in found if one.kernel.uname == name]
        if listed:
            return listed
        kept: dict[str, Kernel] = {}
        for source in self._packages.sources(like):
            fetch = self._packages.fetch(like, patient=False)
            try:
                builds = tuple(published.named_builds(like, name, source, fetch))
            except (CouldNotFindOut, Refused) as error:
                failures.append(error)
                answers += (f"{source.place}: {error.message}",)
                continue
            kept.update((kernel.key, kernel) for kernel in builds)
        if not kept:
            raise outcome(f"a kernel {name} of {like.distro}", failures, answers)
        return list(kept.values())

    def _asked_with(
        self, fingerprint: Fingerprint, kernel: Kernel, choices: Sequence[Choice]
    ) -> Fingerprint:
        """The fingerprint, or the package's name where nothing in it could prove a vmlinux."""
        if _proves(fingerprint):
            return fingerprint
        if all(choice.role is not Role.DEBUGINFO for choice in choices):  # of the sources
            choices = tuple(self._choices(kernel, Part.SYMBOLS, every=False))
        debug = next(choice for choice in choices if choice.role is Role.DEBUGINFO)
        return Fingerprint(package=debug.refs[0].package.id, distro=kernel.distro)

    def _mark_held(self, found: ResolvedKernel, wanted: SymbolsRequest) -> ResolvedKernel:
        """The same, or what is held of it when that is all that is wanted."""
        bundle = find_held(self._store, found.fingerprint)
        if bundle is None or not has(bundle, wanted):
            return found
        return replace(_held(bundle, wanted), fingerprint=found.fingerprint)

    def _choices(self, kernel: Kernel, part: Part, *, every: bool) -> Iterator[Choice]:
        for roles in _roles(kernel, part):
            refs: list[PackageRef] = []
            try:
                for offer in self._packages.published(kernel, roles, patient=False):
                    refs.append(offer.ref)
                    if not every:
                        break
            except (CouldNotFindOut, Refused):
                if not refs:  # else others that could not be asked are no loss
                    raise
            yield Choice(role=refs[0].package.role, refs=tuple(refs))

    def _list(
        self, like: Kernel
    ) -> tuple[list[PublishedKernel], list[KernsymError], tuple[str, ...]]:
        """The kernels at all sources of `like`, each once; the failures, and what each answered."""
        builds: dict[str, PublishedKernel] = {}
        failures: list[KernsymError] = []
        answers: list[str] = []
        for source in self._packages.sources(like):
            if source.kind not in published.LISTED_KINDS:
                continue
            found = self._list_source(like, source)
            if isinstance(found, KernsymError):
                failures.append(found)
                answers.append(f"{source.place}: {found.message}")
                continue
            answers.append(f"{source.place}: lists {len(found)} kernels")
            for one in found:
                builds.setdefault(one.kernel.key, one)
        return list(builds.values()), failures, tuple(answers)

    def _list_source(self, like: Kernel, source: Source) -> _Listed:
        """What a source lists, read once in a few minutes; why not, where it could not be read."""
        key = source, like.distro, like.arch
        with self._listing:
            when, found = self._listed.get(key, (0.0, ()))
            if when and time.monotonic() - when < _LIST_SECONDS:
                return found
            fetch = self._packages.fetch(like, patient=False)
            try:
                found = tuple(published.kernels(like, source, fetch))
            except (CouldNotFindOut, Refused) as error:
                return error
            self._listed[key] = time.monotonic(), found
        return found


_Listed = Sequence[PublishedKernel] | KernsymError


def _held(bundle: Bundle, wanted: SymbolsRequest) -> ResolvedKernel:
    roles: dict[Role, tuple[PackageRef, ...]] = {}
    for ref in bundle.packages:
        if (ref.package.role in SOURCE_ROLES) is (wanted.part is Part.SOURCES):
            roles[ref.package.role] = (*roles.get(ref.package.role, ()), ref)
    return ResolvedKernel(
        kernel=bundle.kernel,
        fingerprint=wanted.fingerprint,
        choices=tuple(Choice(role=role, refs=refs) for role, refs in roles.items()),
        held=True,
    )


def _roles(kernel: Kernel, part: Part) -> tuple[tuple[Role, ...], ...]:
    """The roles of which one package each is needed, alternatives together."""
    if part is Part.SOURCES:
        return (SOURCE_ROLES,)
    stripped = distro_of(kernel).layout(kernel).stripped is not None
    return ((Role.KERNEL,), (Role.DEBUGINFO,)) if stripped else ((Role.DEBUGINFO,),)


def _proves(fingerprint: Fingerprint) -> bool:
    """Whether a vmlinux could be compared with it; a release alone is shared by builds."""
    named = fingerprint.release and fingerprint.version
    return bool(named or fingerprint.banner or fingerprint.build_id or fingerprint.package)


def _namesake(fingerprint: Fingerprint, series: str) -> Kernel | None:
    """What a kernel looks like that has only the name of a kernel, where uploads share names and
    somebody said whose it is; None where the evidence tells enough, or nobody said."""
    distro = catalog().get(fingerprint.distro or "")
    verdict = identify(fingerprint)
    if verdict.kernel or verdict.possible or not distro or not fingerprint.release:
        return None
    if distro.name not in verdict.candidates:
        return None
    line = ".".join(fingerprint.release.split(".")[:2])
    arch = fingerprint.arch or fingerprint.machine or _ANY_ARCH
    return distro.typical(Series(name=series, arch=arch, line=line))


def _is_of(kernel: Kernel, like: Kernel, line: str) -> bool:
    if (kernel.release, kernel.flavour) != (like.release, like.flavour):
        return False
    if line:
        return kernel.uname.startswith(f"{line}.")
    return "~" not in kernel.version
