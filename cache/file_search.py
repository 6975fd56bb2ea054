"""Searches the index of files by path, by pattern and by build ID, within a time."""

from __future__ import annotations

import fnmatch
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kernsym.cache.bundle import FileRole

_TOP = "root"  # below it the files lie in their kernel's folder as in their package
_WILD = re.compile(r"[*?\[\\]")
_FILES = """
SELECT f.build_id, f.role, d.path, f.name, p.archive
FROM files f JOIN folders d ON d.kernel = f.kernel AND d.number = f.folder
JOIN packages p ON p.kernel = f.kernel AND p.number = f.package WHERE f.build_id IS NOT NULL
"""
_FOLDERS = "SELECT kernel, number, path FROM folders WHERE path >= ? AND path < ?"

Row = tuple[bytes, str, str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMatch:
    """A file with a build ID: `path` in its package, which came as the file `archive`."""

    build_id: str
    role: FileRole
    path: str
    archive: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMatches:
    files: tuple[FileMatch, ...]
    complete: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSearch:
    """One of `path`, an absolute path; `pattern`, of such, in which no wildcard stands for a slash
    (fnmatch(3) with FNM_PATHNAME); `build_id` in hex.  At most `limit` files, in at most `seconds`.
    """

    path: str = ""
    pattern: str = ""
    build_id: str = ""
    limit: int
    seconds: float

    def run(self, connection: sqlite3.Connection) -> FileMatches:
        """The files in an open index."""
        deadline = time.monotonic() + self.seconds
        found: list[FileMatch] = []
        connection.set_progress_handler(lambda: time.monotonic() > deadline, 10_000)
        try:
            for build_id, role, folder, name, archive in self._rows(connection):
                if len(found) == self.limit or time.monotonic() > deadline:
                    return FileMatches(files=tuple(found), complete=False)
                found.append(
                    FileMatch(
                        build_id=build_id.hex(),
                        role=FileRole(role),
                        path=f"{folder.removeprefix(_TOP)}/{name}",
                        archive=archive,
                    )
                )
        except sqlite3.OperationalError:  # interrupted
            return FileMatches(files=tuple(found), complete=False)
        finally:
            connection.set_progress_handler(None, 0)
        return FileMatches(files=tuple(found), complete=True)

    def _rows(self, connection: sqlite3.Connection) -> Iterator[Row]:
        if self.build_id:
            query = _FILES + "AND f.build_id = ?"
            yield from connection.execute(query, (bytes.fromhex(self.build_id),))
            return
        folder, _, name = (_TOP + (self.path or self.pattern)).rpartition("/")
        wild = bool(self.pattern and _WILD.search(name))
        is_folder = _matcher(folder) if self.pattern else folder.__eq__
        is_name = _matcher(name)
        if not wild:
            rows = connection.execute(_FILES + "AND f.name = ?", (name,))
            yield from (row for row in rows if is_folder(row[2]))
            return
        start = _WILD.split(folder, maxsplit=1)[0]
        query = _FILES + "AND f.kernel = ? AND f.folder = ?"
        for kernel, number, path in connection.execute(_FOLDERS, (start, start + "\U0010ffff")):
            if is_folder(path):
                rows = connection.execute(query, (kernel, number))
                yield from (row for row in rows if is_name(row[3]))


def _matcher(pattern: str) -> Callable[[str], object]:
    """Says whether a path is meant; wildcards end at slashes.

    SQLite's own GLOB would need the age of the universe for patterns of many stars.
    """
    words = [_as_python(word) for word in pattern.split("/")]
    matches = [re.compile(fnmatch.translate(word)).match for word in words]

    def is_meant(path: str) -> bool:
        given = path.split("/")
        return len(given) == len(matches) and all(
            match(word) for match, word in zip(matches, given, strict=True)
        )

    return is_meant


def _as_python(word: str) -> str:
    r"""A pattern of fnmatch(3) as Python's module writes it.

    >>> _as_python(r"a\*[^b]")
    'a[*][!b]'
    """
    return re.sub(r"\\(.)", r"[\1]", word).replace("[^", "[!")
