"""Every file that Debian ever published, by snapshot.debian.org's JSON interface.

The interface: https://salsa.debian.org/snapshot-team/snapshot/-/blob/master/API
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.errors import CouldNotFindOut, Refused
from kernsym.distros.core.package import Package, PackageRef
from kernsym.distros.formats import apt_archive
from kernsym.distros.formats.apt import FormatError

_SHA1 = re.compile(r"[0-9a-f]{40}\Z")
_TIMESTAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z\Z")
_ARCHIVE = re.compile(r"[a-z0-9][a-z0-9-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotFile:
    """One file that the snapshots hold.

    `archive` (`debian`, `debian-security`) and `first_seen` (`20240505T205503Z`) name the first
    snapshot that it is in, "" when it is not told; `size` in bytes.
    """

    name: str
    sha1: str
    size: int
    archive: str
    first_seen: str


def binfiles_url(base: str, package: str, version: str) -> str:
    """Where the files of one version of a binary package are asked for."""
    name, number = (word.replace("+", "%2B") for word in (package, version))
    return f"{base.rstrip('/')}/mr/binary/{name}/{number}/binfiles?fileinfo=1"


def parse_binfiles(body: bytes) -> tuple[SnapshotFile, ...]:
    """The files of the answer to `binfiles_url`; entries that make no sense are left out.

    Raises `FormatError` when it is not such an answer.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"it is not JSON: {error}") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("fileinfo"), dict):
        raise FormatError("it has no fileinfo")
    found = []
    for sha1, rows in answer["fileinfo"].items():
        for row in rows if isinstance(rows, list) else ():
            file = _file(sha1, row)
            if file is not None:
                found.append(file)
    return tuple(found)


def versions(name: str, source: Source, fetch: Fetch) -> tuple[str, ...]:
    """Every version of a binary package that the snapshots hold; errors as of `locate`."""
    answer = fetch.page(f"{source.url.rstrip('/')}/mr/binary/{name.replace('+', '%2B')}/")
    try:
        return parse_versions(answer.body) if answer else ()
    except FormatError as error:
        raise CouldNotFindOut(
            "index-unreadable", f"the answer of {source.place} cannot be read: {error}"
        ) from error


def parse_versions(body: bytes) -> tuple[str, ...]:
    """The versions in the list of a binary package's.  Raises `FormatError`."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"it is not JSON: {error}") from error
    rows = answer.get("result") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        raise FormatError("it has no result")
    found = (row.get("binary_version") for row in rows if isinstance(row, dict))
    return tuple(dict.fromkeys(one for one in found if isinstance(one, str)))


def _file(sha1: str, row: object) -> SnapshotFile | None:
    if not isinstance(row, dict) or not _SHA1.match(sha1):
        return None
    name, size = row.get("name"), row.get("size")
    if not (isinstance(name, str) and "/" not in name and isinstance(size, int) and size > 0):
        return None
    archive, first_seen = str(row.get("archive_name")), str(row.get("first_seen"))
    return SnapshotFile(
        name=name,
        sha1=sha1,
        size=size,
        archive=archive if _ARCHIVE.match(archive) else "",
        first_seen=first_seen if _TIMESTAMP.match(first_seen) else "",
    )


def locate(
    package: Package,
    source: Source,
    fetch: Fetch,
    *,
    port: str,
    suites: Mapping[str, Sequence[str]],
) -> PackageRef | None:
    """The package in the snapshots; None when they never saw this version.

    Its digest comes from the signed index of the first snapshot that has it: `suites` says, for
    each archive, which suites to look in.  Where none that can be checked lists it, the SHA-1 that
    names the file must do, unless the source demands a signature.
    """
    base = source.url.rstrip("/")
    answer = fetch.page(binfiles_url(base, package.name, package.version))
    if answer is None:
        return None
    try:
        files = parse_binfiles(answer.body)
    except FormatError as error:
        raise CouldNotFindOut(
            "index-unreadable", f"the answer of {source.place} cannot be read: {error}"
        ) from error
    files = tuple(file for file in files if fnmatchcase(file.name, package.id))
    for file in files:
        for suite in suites.get(file.archive, ()) if file.first_seen else ():
            moment = f"{base}/archive/{file.archive}/{file.first_seen}"
            dated = replace(source, kind="apt", url=moment, suite=suite)
            try:
                found = apt_archive.locate(package, dated, fetch, port=port)
            except Refused as error:
                # Signatures of long ago use digests that are not accepted any more.
                if source.signature == "require" or not error.code.startswith("signature-"):
                    raise
                continue
            if found is not None:
                return replace(found, url=f"{base}/file/{file.sha1}", sha1=file.sha1)
    return _unsigned(package, source, files[0]) if files else None


def _unsigned(package: Package, source: Source, file: SnapshotFile) -> PackageRef:
    if source.signature == "require":
        raise CouldNotFindOut(
            "digest-unsigned", f"no signed index of {source.place} was found to list {file.name}"
        )
    return PackageRef(
        package=replace(package, id=file.name),
        url=f"{source.url.rstrip('/')}/file/{file.sha1}",
        origin=source.place,
        why=f"{source.place} saw it first on {file.first_seen}; its SHA-1 is not signed",
        size=file.size,
        sha1=file.sha1,
    )
