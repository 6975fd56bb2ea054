"""The tables of what was scanned, and how a file comes into them and goes."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

SCHEMA = 1
# A file that is neither package nor ELF has a row too, so that it is not opened again.
TABLES = """
CREATE TABLE roots (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, since REAL NOT NULL,
    chosen INTEGER NOT NULL);
CREATE TABLE folders (id INTEGER PRIMARY KEY, root INTEGER NOT NULL, path TEXT NOT NULL,
    UNIQUE (root, path));
CREATE TABLE files (id INTEGER PRIMARY KEY, folder INTEGER NOT NULL, name TEXT NOT NULL,
    size INTEGER NOT NULL, modified INTEGER NOT NULL, digest BLOB, package TEXT, banner TEXT,
    forms INTEGER NOT NULL, UNIQUE (folder, name));
CREATE INDEX files_package ON files (package) WHERE package IS NOT NULL;
CREATE INDEX files_banner ON files (banner) WHERE banner IS NOT NULL;
CREATE TABLE members (build_id BLOB, file INTEGER, module TEXT NOT NULL,
    PRIMARY KEY (build_id, file)) WITHOUT ROWID;
CREATE INDEX members_file ON members (file);
"""
DWARF, CODE = 1, 2  # what an ELF file holds: bits of `FileFacts.forms`


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """What a file says of itself.

    `digest`: of the part that was read, which tells a file that was only touched; b"" of a file
    that is nothing to us.  `package`: the file name that a kernel's package has by its own header,
    "" of everything else.  `banner`: of a vmlinux.  `members`: build IDs (hex) with the names of
    modules, "" for vmlinux: of the file itself, or of what a package holds as far as its header
    tells.  `forms`: of an ELF file, `DWARF` and `CODE`.
    """

    digest: bytes = b""
    package: str = ""
    banner: str = ""
    members: tuple[tuple[str, str], ...] = ()
    forms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """By what a file is told from what it was: `modified` in nanoseconds."""

    size: int
    modified: int
    digest: bytes = b""


def put(
    connection: sqlite3.Connection, folder: int, name: str, state: State, facts: FileFacts | None
) -> None:
    if facts is None:
        query = "UPDATE files SET modified = ? WHERE folder = ? AND name = ?"
        run(connection, query, state.modified, folder, name)
        return
    drop(connection, folder, name)
    number = connection.execute(
        "INSERT INTO files (folder, name, size, modified, digest, package, banner, forms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(folder, name, state.size, state.modified, facts.digest or None),
            *(facts.package or None, facts.banner or None, facts.forms),
        ),
    ).lastrowid
    connection.executemany(
        "INSERT OR IGNORE INTO members VALUES (?, ?, ?)",
        ((bytes.fromhex(one), number, module) for one, module in facts.members),
    )


def folder_number(connection: sqlite3.Connection, root: int, path: str) -> int:
    """The number of a folder, which is made known."""
    run(connection, "INSERT OR IGNORE INTO folders (root, path) VALUES (?, ?)", root, path)
    query = "SELECT id FROM folders WHERE root = ? AND path = ?"
    return int(connection.execute(query, (root, path)).fetchone()[0])


def drop(connection: sqlite3.Connection, folder: int, name: str) -> None:
    members = (
        "DELETE FROM members WHERE file IN (SELECT id FROM files WHERE folder = ? AND name = ?)"
    )
    run(connection, members, folder, name)
    run(connection, "DELETE FROM files WHERE folder = ? AND name = ?", folder, name)


def drop_folder(connection: sqlite3.Connection, folder: int) -> int:
    members = "DELETE FROM members WHERE file IN (SELECT id FROM files WHERE folder = ?)"
    run(connection, members, folder)
    dropped = connection.execute("DELETE FROM files WHERE folder = ?", (folder,)).rowcount
    run(connection, "DELETE FROM folders WHERE id = ?", folder)
    return dropped


def run(connection: sqlite3.Connection, query: str, *values: object) -> None:
    connection.execute(query, values)
