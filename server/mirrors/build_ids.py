"""Which package of a repository has a build ID, by the names in its list of files.

A list has some 100 MB: what it says of kernels is kept beside the pages, by the list's digest.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache.atomic import open_beside
from kernsym.distros import (
    CouldNotFindOut,
    Fetch,
    KernsymError,
    Package,
    PackageRef,
    Refused,
    Role,
    Source,
    Unusable,
)
from kernsym.distros.formats import rpm_md
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.rpm_filelists import ListedKernel, kernels
from kernsym.distros.formats.rpm_lists import Listing
from kernsym.distros.formats.rpm_sources import repository_of
from kernsym.server.disk import writing
from kernsym.server.mirrors.resolve import outcome

_TABLES = """
CREATE TABLE package (number INTEGER PRIMARY KEY, id, name, version, arch, uname);
CREATE TABLE build_id (build_id PRIMARY KEY, package INTEGER) WITHOUT ROWID;
"""
_FIND = "SELECT id, name, version, arch, uname FROM build_id JOIN package ON package = number"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageOfBuildId:
    """A published package with a debug file of some build ID, and the release of its kernel.

    The file may be vmlinux or a module.  The index claims it: only the file itself proves it.
    """

    ref: PackageRef
    uname: str


class BuildIds:
    """What lists of files say of kernels, kept in the folder of the pages, whose sweep removes
    what was not used for long.  Used from threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def search(self, build_id: str, sources: Sequence[Source], fetch: Fetch) -> PackageOfBuildId:
        """The first package that one of the sources lists with a build ID; as `find`.

        Raises the three outcomes as `resolve.offers`, with every source's answer.
        """
        answers: list[str] = []
        failures: list[KernsymError] = []
        for source in sources:
            try:
                found = self.find(build_id, source, fetch)
            except (CouldNotFindOut, Refused) as error:
                failures.append(error)
                answers.append(f"{source.place}: {error.message}")
                continue
            if found is not None:
                return found
            answers.append(f"{source.place}: lists no kernel with it")
        raise outcome(f"the build ID {build_id}", failures, tuple(answers))

    def find(self, build_id: str, source: Source, fetch: Fetch) -> PackageOfBuildId | None:
        """The package at an `rpm-md` source that lists a build ID (lower-case hex); None when it
        is no such source, there is no repository, or it lists none.

        The first question reads the list of files, the others only ask whether it is the same.
        Raises `CouldNotFindOut` and `Refused` as `rpm_md.locate`, and `Unusable` (`disk-full`).
        """
        # A mirror list stands in a folder that is called after the machines.
        arch = source.url.rpartition("/")[0].rpartition("/")[2]
        repository = repository_of(source, arch, fetch) if source.kind == "rpm-md" else None
        if repository is None or len(build_id) % 2:
            return None
        return self._find_in(build_id, repository, fetch)

    def _find_in(self, build_id: str, source: Source, fetch: Fetch) -> PackageOfBuildId | None:
        named = rpm_md.find_list("filelists", source, fetch)
        if named is None:
            return None
        try:
            found = _find(self._index(named[1], source, fetch), build_id)
        except sqlite3.DatabaseError:  # it was cut off, or is of another version
            self._path(named[1]).unlink(missing_ok=True)
            found = _find(self._index(named[1], source, fetch), build_id)
        if found is None:
            return None
        package, uname = found
        published = rpm_md.published(package, source, fetch)
        return PackageOfBuildId(ref=published[0].ref, uname=uname) if published else None

    def _path(self, listing: Listing) -> Path:
        return self._folder / hashlib.sha256(f"build-ids {listing.digest}".encode()).hexdigest()

    def _index(self, listing: Listing, source: Source, fetch: Fetch) -> Path:
        """The file for a list, made if need be."""
        path = self._path(listing)
        with contextlib.suppress(FileNotFoundError):
            os.utime(path)
            return path
        try:
            with writing(path):
                self._folder.mkdir(mode=0o770, parents=True, exist_ok=True)
                _write(path, kernels(rpm_md.read_list(listing, source, fetch)))
        except FormatError as error:
            raise rpm_md.unreadable(source, error) from error
        except sqlite3.OperationalError as error:
            raise Unusable(
                "disk-full", f"the index of build IDs cannot be kept: {error}"
            ) from error
        return path


def _write(path: Path, listed: Iterator[ListedKernel]) -> None:
    """The index as a file of SQLite, beside its place until it is whole."""
    descriptor, beside = open_beside(path)
    os.close(descriptor)
    try:
        with contextlib.closing(sqlite3.connect(beside)) as database:
            # Nobody needs what a crash leaves.
            database.executescript(
                f"PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; {_TABLES}"
            )
            for number, kernel in enumerate(listed):
                package = kernel.package
                row = (number, package.id, package.name, package.version, package.arch)
                database.execute(
                    "INSERT INTO package VALUES (?, ?, ?, ?, ?, ?)", (*row, kernel.uname)
                )
                # Kernels that were built without a salt share those of equal modules.
                database.executemany(
                    "INSERT OR IGNORE INTO build_id VALUES (?, ?)",
                    ((bytes.fromhex(one), number) for one in kernel.build_ids),
                )
            database.commit()
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _find(index: Path, build_id: str) -> tuple[Package, str] | None:
    with contextlib.closing(
        sqlite3.connect(f"{index.absolute().as_uri()}?mode=ro", uri=True)
    ) as database:
        cursor = database.execute(f"{_FIND} WHERE build_id = ?", (bytes.fromhex(build_id),))
        row = cursor.fetchone()
    if row is None:
        return None
    id_, name, version, arch, uname = row
    package = Package(role=Role.DEBUGINFO, id=id_, name=name, version=version, arch=arch)
    return package, uname
