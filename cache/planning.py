"""The documents about what could be brought: what would be fetched for a kernel, which kernels the
sources publish, and many asked for at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from kernsym.cache.messages import JobStatus, Problem, SymbolsRequest
from kernsym.cache.publications import SourceRecord
from kernsym.distros import Fingerprint, Kernel, PackageRef, Role, Series


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveRequest:
    """Body of `POST /api/v1/resolve`.

    `series`: the release of the distribution, where somebody said it and the evidence is a name
    that uploads share.  `every`: all packages that would be tried, not only the first of each role.
    """

    wanted: SymbolsRequest
    series: str = ""
    every: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The packages that would be tried for a role, in order; the first that proves right counts."""

    role: Role
    refs: tuple[PackageRef, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedKernel:
    """What would be fetched for a kernel.

    `fingerprint`: what to ask for its symbols with.  `held`: all that is wanted is held; `choices`
    are then the packages that it came from.  `instead_of`: other kernels that the evidence may mean
    as well, which only a vmlinux tells apart.
    """

    kernel: Kernel
    fingerprint: Fingerprint
    choices: tuple[Choice, ...]
    held: bool = False
    instead_of: tuple[Kernel, ...] = ()

    @property
    def first(self) -> tuple[PackageRef, ...]:
        """The package of each role that would be tried first."""
        return tuple(choice.refs[0] for choice in self.choices if choice.refs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """Answer of `POST /api/v1/resolve`: usually one kernel; several where uploads share a name."""

    kernels: tuple[ResolvedKernel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRequest:
    """Body of `POST /api/v1/published`: which kernels of a series are wanted.

    Without a line in `series` those are left out that are backported to it (`~` in the version).
    """

    distro: str
    series: Series


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedBuild:
    """A kernel that is published, and the package with its vmlinux."""

    kernel: Kernel
    ref: PackageRef


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedList:
    """Answer of `POST /api/v1/published`, the newest first.

    `unanswered`: a line for each source that could not be asked: it may have newer ones.
    """

    builds: tuple[PublishedBuild, ...]
    unanswered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreseedRequest:
    """Body of `POST /api/v1/preseed`: kernels to bring in the background; the first of them first.

    `modules` and `all_modules` as of `SymbolsRequest`, for each of them.
    """

    fingerprints: Annotated[tuple[Fingerprint, ...], msgspec.Meta(max_length=1000)]
    modules: tuple[str, ...] = ()
    all_modules: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PreseedAnswer:
    """What became of one fingerprint: held already, a job, or why neither."""

    held: Kernel | None = None
    job: JobStatus | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PreseedList:
    """Answer of `POST /api/v1/preseed`, in the order of its fingerprints."""

    answers: tuple[PreseedAnswer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedSeries:
    """Kernels whose sources the catalog watches: a release of a distribution, for one machine."""

    distro: str
    release: str
    arch: str = "x86_64"

    @property
    def text(self) -> str:
        return f"{self.distro}:{self.release}:{self.arch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRequest:
    """Body of `POST /api/v1/catalog`.  `series` (): those that are watched already.

    `accept_shrink`: believe lists that have become much shorter.
    """

    series: tuple[WatchedSeries, ...] = ()
    accept_shrink: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogUpdate:
    """What a source has said.  `added` and `gone`: packages, against what was known before;
    `problem`: why nothing was learned, which leaves the catalog as it was."""

    series: str
    place: str
    listed: int = 0
    added: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    problem: Problem | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogUpdates:
    """Answer of `POST /api/v1/catalog`."""

    sources: tuple[CatalogUpdate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRecords:
    """Answer of `GET /api/v1/catalog`."""

    sources: tuple[SourceRecord, ...]
