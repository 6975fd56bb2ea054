"""What a distribution publishes: `Package` (named by the banner), `PackageRef` (found)."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Role(str, enum.Enum):
    """What a package is needed for."""

    DEBUGINFO = "debuginfo"  # vmlinux with DWARF, modules with DWARF
    DEBUGINFO_COMMON = "debuginfo-common"  # sources and what flavours share
    KERNEL = "kernel"  # the binary kernel, where the debuginfo needs it beside it
    SOURCE = "source"  # the source tree that DWARF's file names point into


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A package as the banner names it; nothing was asked of any repository yet.

    `id` is the file name for deb (`NAME_VERSION_ARCH.deb`; `NAME_VERSION.dsc` of a Debian source
    package, until it is found: then that of its tarball), `NAME-VERSION-RELEASE.ARCH` for rpm;
    `*` stands for what the banner cannot tell.
    """

    role: Role
    id: str
    name: str
    version: str
    arch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageRef:
    """One published file that provides a `Package`.

    `size` in bytes and the digests (hex) are as a repository's index states them; None where the
    source states none.  `sha1` is for old repositories, and snapshot.debian.org's file names.
    `signed_by`: fingerprint of the key whose signature covers the digest, or the package itself,
    and in brackets what is weak about it; None: no signature was checked.  `origin`: which source
    it was found in, for people.  `why`: why this one was chosen.  `diff`: of a Debian source
    package, the packed unified diff that makes its tree out of the tarball at `url`.
    """

    package: Package
    url: str
    origin: str
    why: str
    size: int | None = None
    sha256: str | None = None
    sha1: str | None = None
    sha512: str | None = None
    signed_by: str | None = None
    diff: PackageRef | None = None

    @property
    def files(self) -> tuple[PackageRef, ...]:
        """All that has to be downloaded of it."""
        return (self, self.diff) if self.diff else (self,)

    @property
    def digest(self) -> str | None:
        """The strongest digest that is stated, as `sha256:HEX`."""
        stated = (("sha512", self.sha512), ("sha256", self.sha256), ("sha1", self.sha1))
        return next((f"{algorithm}:{value}" for algorithm, value in stated if value), None)
