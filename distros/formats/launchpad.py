"""Every file that Launchpad ever published for an archive, by its JSON interface.

The interface: https://api.launchpad.net/devel.html (archive, binary_package_publishing).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from kernsym.distros.core.distro import Fetch, Page, Source
from kernsym.distros.core.errors import CouldNotFindOut
from kernsym.distros.core.package import Package, PackageRef
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.listing import named, unescape

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")
_SHA1 = re.compile(r"[0-9a-f]{40}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class LibrarianFile:
    """One file of the librarian: its plain `name`, address, digests in hex and size in bytes."""

    name: str
    url: str
    size: int
    sha256: str | None
    sha1: str | None


def binaries_url(archive: str, name: str, version: str) -> str:
    """Where the publications of one version of a binary package are asked for."""
    return _question(archive, "getPublishedBinaries", "binary_name", name, version)


def _question(archive: str, operation: str, named: str, name: str, version: str) -> str:
    name, version = (word.replace("+", "%2B") for word in (name, version))
    return (
        f"{archive.rstrip('/')}?ws.op={operation}&{named}={name}&version={version}&exact_match=true"
    )


def parse_binaries(body: bytes, *, archive: str, name: str, version: str, port: str) -> str | None:
    """The address of a publication for `port` ("*": any) in the answer to `binaries_url`.

    One for all processors is good for each.  Raises `FormatError`.
    """
    for entry in _entries(body):
        series = str(entry.get("distro_arch_series_link"))
        said = (entry.get("binary_package_name"), entry.get("binary_package_version"))
        fits = port in ("*", series.rsplit("/", 1)[-1]) or not entry.get("architecture_specific")
        if said == (name, version) and fits:
            return _link(entry, archive)
    return None


def parse_sources(body: bytes, *, archive: str, name: str, version: str) -> str | None:
    """The address of a publication of a source package, in the answer to `getPublishedSources`.

    Raises `FormatError`.
    """
    for entry in _entries(body):
        said = (entry.get("source_package_name"), entry.get("source_package_version"))
        if said == (name, version):
            return _link(entry, archive)
    return None


def _entries(body: bytes) -> Iterator[dict[str, object]]:
    answer = _json(body)
    entries = answer.get("entries") if isinstance(answer, dict) else None
    if not isinstance(entries, list):
        raise FormatError("it has no entries")
    yield from (entry for entry in entries if isinstance(entry, dict))


def _link(entry: dict[str, object], archive: str) -> str:
    """The address of a publication, which is one of the same service."""
    link = str(entry.get("self_link"))
    if not link.startswith("/".join(archive.split("/")[:3]) + "/"):
        raise FormatError(f"it leads elsewhere: {link}")
    return link


def parse_files(body: bytes) -> tuple[LibrarianFile, ...]:
    """The files of a publication, as `binaryFileUrls` states them.  Raises `FormatError`."""
    answer = _json(body)
    if not isinstance(answer, list):
        raise FormatError("it is not a list of files")
    return tuple(_files(answer))


def _files(rows: list[object]) -> Iterator[LibrarianFile]:
    for row in rows:
        if not isinstance(row, dict):
            continue
        url, size = row.get("url"), row.get("size")
        if isinstance(url, str) and url.startswith("http") and isinstance(size, int) and size > 0:
            sha256, sha1 = str(row.get("sha256")), str(row.get("sha1"))
            yield LibrarianFile(
                name=unescape(url.rsplit("/", 1)[-1]),
                url=url,
                size=size,
                sha256=sha256 if _SHA256.match(sha256) else None,
                sha1=sha1 if _SHA1.match(sha1) else None,
            )


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"it is not JSON: {error}") from error


def locate(package: Package, source: Source, fetch: Fetch, *, port: str) -> PackageRef | None:
    """The package in the librarian; None when Launchpad never published this version.

    The digest is what Launchpad states over TLS; no signature covers it.
    """
    asked = fetch.page(binaries_url(source.url, package.name, package.version))
    try:
        link = asked and parse_binaries(
            asked.body,
            archive=source.url,
            name=package.name,
            version=package.version,
            port=port,
        )
        answer = fetch.page(f"{link}?ws.op=binaryFileUrls&include_meta=true") if link else None
        return _reference(package, source, answer) if answer else None
    except FormatError as error:
        raise CouldNotFindOut(
            "index-unreadable", f"the answer of {source.place} cannot be read: {error}"
        ) from error


def versions(name: str, source: Source, fetch: Fetch) -> tuple[str, ...]:
    """The versions of a binary package that Launchpad ever published; errors as of `locate`.

    The first page of its answer is enough: a kernel's name has few versions.
    """
    archive = source.url.rstrip("/")
    asked = "ws.op=getPublishedBinaries&exact_match=true&binary_name="
    answer = fetch.page(f"{archive}?{asked}{name.replace('+', '%2B')}")
    try:
        found = [
            entry.get("binary_package_version")
            for entry in (_entries(answer.body) if answer else ())
            if entry.get("binary_package_name") == name
        ]
    except FormatError as error:
        raise CouldNotFindOut(
            "index-unreadable", f"the answer of {source.place} cannot be read: {error}"
        ) from error
    return tuple(dict.fromkeys(version for version in found if isinstance(version, str)))


def files_of_source(package: Package, source: Source, fetch: Fetch) -> tuple[LibrarianFile, ...]:
    """The files of a source package, () when Launchpad never published this version.

    Raises `FormatError`, and what `fetch` raises.
    """
    name, version = package.name, package.version
    asked = fetch.page(_question(source.url, "getPublishedSources", "source_name", name, version))
    link = asked and parse_sources(asked.body, archive=source.url, name=name, version=version)
    answer = fetch.page(f"{link}?ws.op=sourceFileUrls&include_meta=true") if link else None
    return parse_files(answer.body) if answer else ()


def _reference(package: Package, source: Source, answer: Page) -> PackageRef | None:
    for file in parse_files(answer.body):
        if fnmatchcase(file.name, package.id):
            return PackageRef(
                package=named(package, file.name),
                url=file.url,
                origin=source.place,
                why=f"{source.place} keeps {file.name}; its digest is Launchpad's word, not signed",
                size=file.size,
                sha256=file.sha256,
                sha1=file.sha1,
            )
    return None
