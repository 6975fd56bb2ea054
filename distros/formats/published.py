"""Which kernels a source publishes the debug packages of: its whole list, not one name of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kernsym.distros.core.catalog import catalog
from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import apt_archive, launchpad, listing, rpm_md, rpm_sources, snapshot
from kernsym.distros.formats.deb_ports import port_of_machine
from kernsym.distros.formats.rpm_versions import Segment, version_key

LISTED_KINDS = ("apt", "directory", "rpm-md")
_VERSIONS = {"snapshot": snapshot.versions, "launchpad": launchpad.versions}

_DEB_BEGINNING = "linux-image-"
_DEB = re.compile(r"linux-image-.+-(?:dbg|dbgsym)|linux-image-debug-.+")
_RPM = re.compile(r"(?:kernel|linux)(?:-.+|[0-9].*)?-debuginfo")
_DEB_FILE = re.compile(r"(?P<name>[^_/]+)_(?P<version>[^_/]+)_(?P<arch>[a-z0-9-]+)\.d?deb")
_RPM_FILE = re.compile(r"(?P<name>[^/]+)-(?P<version>[^-/]+-[^-/]+)\.(?P<arch>[A-Za-z0-9_]+)\.rpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedKernel:
    """A kernel, and the package at a source that has its vmlinux."""

    kernel: Kernel
    ref: PackageRef


def kernels(like: Kernel, source: Source, fetch: Fetch) -> Iterator[PublishedKernel]:
    """The kernels of the distribution and architecture of `like` at a source, in no order.

    Nothing where there is no such repository; sources that cannot be listed (`snapshot`,
    `launchpad`) have nothing either.  Raises `Refused` and `CouldNotFindOut` as `locate` does.
    """
    distro = catalog()[like.distro]
    for ref in debug_packages(source, like.arch or "*", fetch):
        kernel = distro.named(ref.package.id) if distro.named else None
        if kernel is None or kernel.arch != like.arch:
            continue
        names = {one.name for one in distro.packages(kernel) if one.role is Role.DEBUGINFO}
        if ref.package.name in names:
            yield PublishedKernel(kernel=kernel, ref=ref)


def named_builds(like: Kernel, uname: str, source: Source, fetch: Fetch) -> Iterator[Kernel]:
    """The builds of one name that a source keeps which tells the versions of a package, but no
    list of all: `snapshot`, `launchpad`.  Errors as of `kernels`."""
    versions = _VERSIONS.get(source.kind)
    distro = catalog()[like.distro]
    if versions is None or distro.named is None or uname.count("-") < 2:
        return
    called = replace(like, uname=uname, flavour=uname.split("-", 2)[2])
    for package in distro.packages(called):
        if package.role is not Role.DEBUGINFO:
            continue
        for version in versions(package.name, source, fetch):
            suffix = package.id.rpartition(".")[2]
            kernel = distro.named(f"{package.name}_{version}_{package.arch}.{suffix}")
            if kernel is not None and (kernel.uname, kernel.arch) == (uname, like.arch):
                yield kernel


def debug_packages(source: Source, arch: str, fetch: Fetch) -> Iterator[PackageRef]:
    """The packages that a source lists and that are named as those with kernels' debug information
    are.  `arch` as `uname -m` spells it: of apt only that port's list is read.  Errors as of
    `kernels`."""
    if source.kind == "apt":
        yield from _of_apt(source, port_of_machine(arch), fetch)
    elif source.kind == "rpm-md":
        repository = rpm_sources.repository_of(source, arch, fetch)
        if repository is not None:
            yield from rpm_md.every(_RPM, repository, fetch)
    elif source.kind == "directory":
        yield from _of_folder(source, fetch)


def age(kernel: Kernel) -> tuple[Segment, ...]:
    """A key that sorts kernels of one distribution, oldest first."""
    return version_key(kernel.version)


def _of_apt(source: Source, port: str, fetch: Fetch) -> Iterator[PackageRef]:
    for stanza, page in apt_archive.every(source, fetch, port=port, beginning=_DEB_BEGINNING):
        if _DEB.fullmatch(stanza.package):
            suffix = stanza.path.rpartition(".")[2]
            package = Package(
                role=Role.DEBUGINFO,
                id=f"{stanza.package}_{stanza.version}_{stanza.architecture}.{suffix}",
                name=stanza.package,
                version=stanza.version,
                arch=stanza.architecture,
            )
            yield apt_archive.reference(package, stanza, source, page)


def _of_folder(source: Source, fetch: Fetch) -> Iterator[PackageRef]:
    base = source.url.rstrip("/")
    page = fetch.page(f"{base}/")
    for name in listing.names_in(page.body) if page else ():
        deb, rpm = _DEB_FILE.fullmatch(name), _RPM_FILE.fullmatch(name)
        found = deb or rpm
        if found is None or not (_DEB if deb else _RPM).fullmatch(found["name"]):
            continue
        yield PackageRef(
            package=Package(
                role=Role.DEBUGINFO,
                id=name if deb else name.removesuffix(".rpm"),
                name=found["name"],
                version=found["version"],
                arch=found["arch"],
            ),
            url=f"{base}/{name.replace('+', '%2B') if base.startswith('http') else name}",
            origin=source.place,
            why=f"the folder {source.place} holds {name}, without a digest ({source.origin})",
        )
