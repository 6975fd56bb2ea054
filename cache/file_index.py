"""Every file of the store in one database: by build ID, by path, by kernel.

It is derived: the manifests are the truth, and each kernel's rows carry the stamp of the manifest
that they were made from.  So it may be late, lost or unusable; then it knows less or nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from kernsym.cache.bundle import Bundle, BundleFile, FileRole
from kernsym.cache.database import Database
from kernsym.cache.file_search import FileMatches, FileSearch

_SCHEMA = 2
# Folders and packages are numbered within their kernel, so that a file's row stays small: about
# 200 bytes with its share of the indexes.
_TABLES = """
CREATE TABLE complete (since REAL NOT NULL);
CREATE TABLE kernels (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL,
    banner TEXT NOT NULL, build_id BLOB, files INTEGER NOT NULL, size INTEGER NOT NULL);
CREATE INDEX kernels_banner ON kernels (banner);
CREATE TABLE folders (kernel INTEGER, number INTEGER, path TEXT NOT NULL,
    PRIMARY KEY (kernel, number)) WITHOUT ROWID;
CREATE INDEX folders_path ON folders (path);
CREATE TABLE packages (kernel INTEGER, number INTEGER, id TEXT NOT NULL, archive TEXT NOT NULL,
    PRIMARY KEY (kernel, number)) WITHOUT ROWID;
CREATE TABLE files (kernel INTEGER, folder INTEGER, number INTEGER, build_id BLOB,
    role TEXT NOT NULL, name TEXT NOT NULL, module TEXT NOT NULL, size INTEGER NOT NULL,
    sha256 BLOB NOT NULL, package INTEGER NOT NULL,
    PRIMARY KEY (kernel, folder, number)) WITHOUT ROWID;
CREATE INDEX files_build_id ON files (build_id) WHERE build_id IS NOT NULL;
CREATE INDEX files_name ON files (name);
"""
_FILES = """
SELECT k.key, k.stamp, f.role, d.path, f.name, f.module, f.size, f.sha256, f.build_id, p.id
FROM files f JOIN kernels k ON k.id = f.kernel
JOIN folders d ON d.kernel = f.kernel AND d.number = f.folder
JOIN packages p ON p.kernel = f.kernel AND p.number = f.package
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedFile:
    """A file, the key of its kernel, and the stamp of the manifest that named it."""

    key: str
    stamp: str
    file: BundleFile


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedKernel:
    """A kernel that is held; `size`: bytes of its `files` together."""

    key: str
    banner: str
    build_id: str | None
    files: int
    size: int


class FileIndex:
    """The index in `folder`, shared between threads and processes; `lock` as in `Database`.

    No method raises for the state of the disk: what cannot be asked is not known, what cannot be
    written is left out.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._database = Database(folder, "files", schema=_SCHEMA, script=_TABLES, lock=lock)

    def close(self) -> None:
        self._database.close()

    def put(self, bundle: Bundle, stamp: str) -> None:
        """Replace what is known of a kernel by its manifest, which has this stamp."""
        self._database.write(lambda connection: _put(connection, bundle, stamp))

    def drop(self, key: str) -> None:
        """Forget a kernel."""
        self._database.write(lambda connection: _drop(connection, key))

    def find(self, build_id: str) -> IndexedFile | None:
        """The file with this build ID (hex); of a split pair the half with the DWARF."""
        rows = self._database.rows(
            _FILES + "WHERE f.build_id = ? ORDER BY f.role = ?, f.kernel DESC LIMIT 1",
            (bytes.fromhex(build_id), FileRole.STRIPPED.value),
        )
        return _file(*rows[0]) if rows else None

    def keys_of_banner(self, banner: str) -> tuple[str, ...]:
        """The keys of the kernels with exactly this banner, in order."""
        rows = self._database.rows(
            "SELECT key FROM kernels WHERE banner = ? ORDER BY key", (banner,)
        )
        return tuple(key for (key,) in rows)

    def kernels(self, *, after: str = "", limit: int = 100) -> tuple[IndexedKernel, ...]:
        """The kernels in the order of their keys, from the first key greater than `after` on."""
        rows = self._database.rows(
            "SELECT key, banner, build_id, files, size FROM kernels WHERE key > ? "
            "ORDER BY key LIMIT ?",
            (after, limit),
        )
        return tuple(
            IndexedKernel(key=key, banner=banner, build_id=_hex(number), files=files, size=size)
            for key, banner, number, files, size in rows
        )

    def totals(self) -> tuple[int, int, int]:
        """How many kernels are held, how many files, and the bytes of these together."""
        rows = self._database.rows(
            "SELECT count(*), ifnull(sum(files), 0), ifnull(sum(size), 0) FROM kernels"
        )
        return rows[0] if rows else (0, 0, 0)

    def search(self, search: FileSearch) -> FileMatches:
        """The files that a search means; `complete` False when there may be more."""
        found = self._database.ask(search.run)
        return found or FileMatches(files=(), complete=False)

    def stamps(self) -> dict[str, str]:
        """The stamp of every kernel's manifest, by key."""
        return dict(self._database.rows("SELECT key, stamp FROM kernels"))

    @property
    def complete(self) -> bool:
        """Whether every manifest has been looked at since the database was made."""
        return bool(self._database.rows("SELECT 1 FROM complete"))

    def set_complete(self, since: float) -> None:
        """Note that every manifest was looked at; `since` in seconds since the epoch."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM complete")
            connection.execute("INSERT INTO complete VALUES (?)", (since,))

        self._database.write(write)


def _put(connection: sqlite3.Connection, bundle: Bundle, stamp: str) -> None:
    _drop(connection, bundle.kernel.key)
    shown, files = bundle.verification, bundle.found
    size = sum(file.size for file in files)
    kernel = connection.execute(
        "INSERT INTO kernels (key, stamp, banner, build_id, files, size) VALUES (?, ?, ?, ?, ?, ?)",
        (
            *(bundle.kernel.key, stamp, shown.banner),
            *(_bytes(shown.build_id), len(files), size),
        ),
    ).lastrowid
    folders = _numbered(file.path.rpartition("/")[0] for file in files)
    packages = _numbered(file.package for file in files)
    archives = {ref.package.id: _file_name(ref.url) for ref in bundle.packages}
    connection.executemany(
        "INSERT INTO folders VALUES (?, ?, ?)",
        ((kernel, number, path) for path, number in folders.items()),
    )
    connection.executemany(
        "INSERT INTO packages VALUES (?, ?, ?, ?)",
        ((kernel, number, name, archives.get(name, name)) for name, number in packages.items()),
    )
    connection.executemany(
        "INSERT INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            (
                *(kernel, folders[file.path.rpartition("/")[0]], number),
                *(_bytes(file.build_id), file.role.value, file.path.rpartition("/")[2]),
                *(file.name, file.size, _bytes(file.sha256) or b"", packages[file.package]),
            )
            for number, file in enumerate(files)
        ),
    )


def _drop(connection: sqlite3.Connection, key: str) -> None:
    found = connection.execute("SELECT id FROM kernels WHERE key = ?", (key,)).fetchone()
    if found is not None:
        for table in ("files", "folders", "packages"):
            connection.execute(f"DELETE FROM {table} WHERE kernel = ?", found)
        connection.execute("DELETE FROM kernels WHERE id = ?", found)


def _file(
    key: str,
    stamp: str,
    role: str,
    folder: str,
    name: str,
    module: str,
    size: int,
    sha256: bytes,
    build_id: bytes | None,
    package: str,
) -> IndexedFile:
    file = BundleFile(
        role=FileRole(role),
        path=f"{folder}/{name}" if folder else name,
        size=size,
        sha256=sha256.hex(),
        package=package,
        name=module,
        build_id=_hex(build_id),
    )
    return IndexedFile(key=key, stamp=stamp, file=file)


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


def _numbered(words: Iterable[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for word in words:
        numbers.setdefault(word, len(numbers))
    return numbers


def _bytes(digits: str | None) -> bytes | None:
    """Hex as bytes; None for what is not hex, which nobody can ask for then."""
    with contextlib.suppress(ValueError):
        return bytes.fromhex(digits) if digits else None
    return None


def _hex(number: Any) -> str | None:
    return None if number is None else bytes(number).hex()
