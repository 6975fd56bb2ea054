"""Finds packages in an rpm-md repository: repomd.xml, then the primary list that it names.

The lists have up to some 100 MB: they are unpacked and parsed as a stream, no further than needed.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kernsym.distros.core.distro import Fetch, Page, Source
from kernsym.distros.core.errors import CouldNotFindOut
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.rpm_lists import (
    COMMON,
    RPM,
    Listing,
    elements,
    joined,
    parse_checksum,
    parse_repomd,
    unpacked,
)
from kernsym.distros.formats.rpm_versions import Edition, edition_key

# The package that is wanted of those with a name, versions and architectures with `*`; or None.
Wanted = Callable[[str], "Package | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """One package that a repository lists.

    `built`: seconds since 1970.  `provides`: names of all that it provides, such as SUSE's
    `kernel-default-srchash-<40 hex>`.  `description` may name the commit that it was built from.
    """

    ref: PackageRef
    epoch: int
    built: int
    provides: tuple[str, ...]
    description: str


def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
    """The package at this source; None when there is no repository or it does not list it.

    Name, version, release and architecture must be equal.  Where version or architecture hold a
    `*`, the newest that fits is taken.  Raises `Refused` (signature, digest) and `CouldNotFindOut`
    (`index-unreadable`, `index-incomplete`, or what `fetch` raises).
    """
    if "*" in package.version or "*" in package.arch:
        return next(iter(locate_all(package, kernel, source, fetch)), None)
    found = next(_listed(_named(package), source, fetch), None)
    return found.ref if found else None


def locate_all(
    package: Package, kernel: Kernel, source: Source, fetch: Fetch
) -> tuple[PackageRef, ...]:
    """Every package that fits, newest first; errors as of `locate`."""
    return tuple(found.ref for found in published(package, source, fetch))


def published(package: Package, source: Source, fetch: Fetch) -> tuple[Published, ...]:
    """Every package that fits with what else is listed of it, newest first; errors as of `locate`.

    Of one version and release, the one that was built last comes first.
    """
    return tuple(sorted(_listed(_named(package), source, fetch), key=_age, reverse=True))


def every(pattern: re.Pattern[str], source: Source, fetch: Fetch) -> Iterator[PackageRef]:
    """Every binary package whose name fits the pattern; errors as of `locate`."""

    def wanted(name: str) -> Package | None:
        if not pattern.fullmatch(name):
            return None
        return Package(role=Role.DEBUGINFO, id=name, name=name, version="*", arch="*")

    return (found.ref for found in _listed(wanted, source, fetch))


def _age(found: Published) -> tuple[Edition, int]:
    version, _, release = found.ref.package.version.rpartition("-")
    return edition_key(found.epoch, version, release), found.built


def _named(package: Package) -> Wanted:
    return lambda name: package if name == package.name else None


def _listed(wanted: Wanted, source: Source, fetch: Fetch) -> Iterator[Published]:
    opened = open_list("primary", source, fetch)
    if opened is None:
        return
    repomd, pieces = opened
    try:
        for element in elements(pieces, f"{COMMON}package"):
            package = wanted(element.findtext(f"{COMMON}name") or "")
            if package is not None:
                found = _published(package, element, source, repomd)
                if found is not None:
                    yield found
    except FormatError as error:
        raise unreadable(source, error) from error


def open_list(kind: str, source: Source, fetch: Fetch) -> tuple[Page, Iterator[bytes]] | None:
    """repomd.xml, and the content of the list of a kind (`primary`, `filelists`) in pieces.

    None when there is no repository.  Errors as of `locate`; the pieces raise `FormatError`.
    """
    named = find_list(kind, source, fetch)
    return (named[0], read_list(named[1], source, fetch)) if named else None


def find_list(kind: str, source: Source, fetch: Fetch) -> tuple[Page, Listing] | None:
    """repomd.xml, and the list of a kind that it names; None when there is no repository."""
    address = joined(source.url, "repodata/repomd.xml")
    signature = joined(source.url, "repodata/repomd.xml.asc")
    repomd = fetch.signed(address, source, detached=signature)
    if repomd is None:
        return None
    try:
        listing = parse_repomd(repomd.body).get(kind)
        if listing is None:
            raise FormatError(f"repomd.xml names no {kind} list")
    except FormatError as error:
        raise unreadable(source, error) from error
    return repomd, listing


def read_list(listing: Listing, source: Source, fetch: Fetch) -> Iterator[bytes]:
    """The content of a list in pieces, which raise `FormatError`; errors as of `locate`."""
    try:
        url = joined(listing.base or source.url, listing.path)
    except FormatError as error:
        raise unreadable(source, error) from error
    packed = fetch.open(url, digest=listing.digest)
    if packed is None:
        raise CouldNotFindOut(
            "index-incomplete",
            f"{source.place} names the list {listing.path} but does not have it",
            hint="the mirror may be in the middle of an update: try again later",
        )
    return unpacked(packed, listing.path, fetch)


def unreadable(source: Source, error: FormatError) -> CouldNotFindOut:
    """The error for a repository whose index makes no sense."""
    return CouldNotFindOut(
        "index-unreadable", f"the index of {source.place} cannot be read: {error}"
    )


def _published(
    wanted: Package, element: ElementTree.Element, source: Source, repomd: Page
) -> Published | None:
    """What an element of the primary list says, if it is what is wanted."""
    edition = element.find(f"{COMMON}version")
    place = element.find(f"{COMMON}location")
    if edition is None or place is None:
        raise FormatError(f"an entry of {wanted.name} has no version or no location")
    version = f"{edition.get('ver', '')}-{edition.get('rel', '')}"
    arch = element.findtext(f"{COMMON}arch", "")
    fits = fnmatchcase(version, wanted.version) and fnmatchcase(arch, wanted.arch)
    if not fits or (arch == "src") != (wanted.arch == "src"):
        return None
    package = Package(
        role=wanted.role,
        id=f"{wanted.name}-{version}.{arch}",
        name=wanted.name,
        version=version,
        arch=arch,
    )
    base = place.get("{http://www.w3.org/XML/1998/namespace}base")
    times, sizes = element.find(f"{COMMON}time"), element.find(f"{COMMON}size")
    digest = parse_checksum(element.find(f"{COMMON}checksum"))
    algorithm, _, value = digest.partition(":")
    return Published(
        ref=PackageRef(
            package=package,
            url=joined(base or source.url, place.get("href", "")),
            origin=source.place,
            why=f"{source.place} lists {package.id} ({source.origin})",
            size=_number(sizes, "package"),
            sha256=value if algorithm == "sha256" else None,
            sha1=value if algorithm == "sha1" else None,
            sha512=value if algorithm == "sha512" else None,
            # A reference has no room for the others; then the index vouches for nothing.
            signed_by=repomd.signed_by if algorithm in ("sha1", "sha256", "sha512") else None,
        ),
        epoch=_number(edition, "epoch") or 0,
        built=_number(times, "build") or 0,
        provides=tuple(
            entry.get("name", "")
            for entry in element.iterfind(f"{COMMON}format/{RPM}provides/{RPM}entry")
        ),
        description=element.findtext(f"{COMMON}description") or "",
    )


def _number(element: ElementTree.Element | None, name: str) -> int | None:
    text = element.get(name, "") if element is not None else ""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
