"""Debian source packages: a tarball, and in format 1.0 a diff against it (dpkg-source(1), dsc(5)).

The files are named, with their digests, by the `.dsc`, and the same by an archive's Sources lists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import apt_archive, launchpad, listing
from kernsym.distros.formats.apt import FormatError, find_source, parse_fields

_ARCHITECTURE = "source"
_ROW = re.compile(r"(?P<sha256>[0-9a-f]{64})\s+(?P<size>[0-9]+)\s+(?P<name>[A-Za-z0-9.+~_-]+)")
_TARBALL = r"_[A-Za-z0-9.+~-]+\.tar\.(?:gz|xz|bz2)"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """A file of a source package: where it is, its size in bytes and its digest in hex."""

    name: str
    url: str
    size: int
    sha256: str | None


def named(name: str, version: str) -> Package:
    """A source package, by the name of its `.dsc`."""
    file = f"{name}_{version}.dsc"
    return Package(role=Role.SOURCE, id=file, name=name, version=version, arch=_ARCHITECTURE)


def is_one(package: Package) -> bool:
    """Whether it is a Debian source package, not a package with sources in it."""
    return package.arch == _ARCHITECTURE


def locate(package: Package, source: Source, fetch: Fetch) -> PackageRef | None:
    """The source package at this source: its tarball, and the diff beside it; None when it is not
    there.  Raises as `apt_archive.locate`; `index-unreadable` also for a package of other parts."""
    with apt_archive.readable(source):
        if source.kind == "apt":
            return _in_archive(package, source, fetch)
        if source.kind == "directory":
            return _in_folder(package, source, fetch)
        if source.kind == "launchpad":
            files = [
                SourceFile(name=file.name, url=file.url, size=file.size, sha256=file.sha256)
                for file in launchpad.files_of_source(package, source, fetch)
            ]
            return _reference(package, files, source) if files else None
    return None


def _in_archive(package: Package, source: Source, fetch: Fetch) -> PackageRef | None:
    folder = "" if source.suite.endswith("/") else f"{source.component}/source/"
    lists = apt_archive.read_lists(
        source, fetch, lambda release: apt_archive.packed_as(f"{folder}Sources", release)
    )
    for page, path, body in lists:
        name = path.rsplit("/", 1)[-1]
        fields = find_source(body, name, package=package.name, version=package.version)
        if fields is not None:
            place = fields.get("directory", "")
            address = partial(_address, place, source)
            return _reference(package, list(_listed(fields, address)), source, page.signed_by)
    return None


def _address(folder: str, source: Source, name: str) -> str:
    return apt_archive.address_of(f"{folder}/{name}", source)


def _in_folder(package: Package, source: Source, fetch: Fetch) -> PackageRef | None:
    """By the digests of a `.dsc`, whose own signature is not looked at."""
    base = source.url.rstrip("/")
    found = listing.locate(package, source, fetch)
    page = fetch.page(found.url) if found else None
    if page is None:
        return None

    def address(name: str) -> str:
        return f"{base}/{name.replace('+', '%2B') if base.startswith('http') else name}"

    fields = parse_fields(page.body.decode("utf-8", "replace"))
    return _reference(package, list(_listed(fields, address)), source)


def _listed(fields: dict[str, str], address: Callable[[str], str]) -> Iterator[SourceFile]:
    for line in fields.get("checksums-sha256", "").splitlines():
        row = _ROW.fullmatch(line.strip())
        if row is None:
            raise FormatError(f"it names a file in an odd way: {line[:80]!r}")
        yield SourceFile(
            name=row["name"], url=address(row["name"]), size=int(row["size"]), sha256=row["sha256"]
        )


def _reference(
    package: Package, files: Sequence[SourceFile], source: Source, signed_by: str | None = None
) -> PackageRef:
    diff_name = f"{package.name}_{package.version}.diff.gz"
    tarball_name = re.compile(re.escape(package.name) + _TARBALL)
    tarballs = [file for file in files if tarball_name.fullmatch(file.name)]
    diffs = [file for file in files if file.name == diff_name]
    if len(tarballs) != 1 or len(diffs) > 1:
        names = " ".join(file.name for file in files) or "no file"
        raise FormatError(f"{package.id} is not a tarball and a diff, it has {names}")

    def of(file: SourceFile) -> PackageRef:
        return PackageRef(
            package=replace(package, id=file.name),
            url=file.url,
            origin=source.place,
            why=f"{source.place} has the source package {package.id} ({source.origin})",
            size=file.size,
            sha256=file.sha256,
            signed_by=signed_by if file.sha256 else None,
        )

    return replace(of(tarballs[0]), diff=of(diffs[0]) if diffs else None)
