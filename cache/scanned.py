"""What lies in folders that were scanned: packages by the names that they give themselves, kernels
and modules by build ID and banner.

It is derived from the folders and may be lost: the next scan makes it again.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernsym.cache.database import Database
from kernsym.cache.scanned_rows import (
    DWARF,
    SCHEMA,
    TABLES,
    FileFacts,
    State,
    drop,
    drop_folder,
    folder_number,
    put,
    run,
)

_PLACE = """
FROM files f JOIN folders d ON d.id = f.folder JOIN roots r ON r.id = d.root
"""
_PATH = "CASE d.path WHEN '' THEN r.path ELSE r.path || '/' || d.path END || '/' || f.name"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedFile:
    """A file with some build ID: a package that holds it, or with `package` "" the ELF file itself.

    `module`: its name, "" for vmlinux.  `kernel_build_id`: of the vmlinux in the same package, as
    far as known.
    """

    path: Path
    package: str
    module: str
    banner: str = ""
    kernel_build_id: str | None = None


class Scanned:
    """The index in `folder`, shared between threads and processes; `lock` as in `Database`.

    No method raises for the state of the disk: what cannot be asked is not known.
    """

    def __init__(self, folder: Path, lock: Path) -> None:
        self._database = Database(folder, "scanned", schema=SCHEMA, script=TABLES, lock=lock)
        self._lock = lock

    def close(self) -> None:
        self._database.close()

    def lock_of(self, root: Path) -> Path:
        """What is held while a folder is scanned."""
        mark = hashlib.sha256(str(root).encode()).hexdigest()[:16]
        return self._lock.with_name(f"{self._lock.name}-{mark}")

    def roots(self) -> dict[Path, float]:
        """The folders, and when each was last scanned to its end; 0.0: never."""
        return {Path(path): since for path, since in self._rows("SELECT path, since FROM roots")}

    def chosen(self) -> tuple[Path, ...]:
        """Those of the folders that somebody chose to have scanned, whether a source or not."""
        rows = self._rows("SELECT path FROM roots WHERE chosen ORDER BY id")
        return tuple(Path(path) for (path,) in rows)

    def begin(self, root: Path, *, chosen: bool = False) -> int:
        """The number of a root, which is made known; 0 on a disk that takes no writes."""
        row = (
            "INSERT INTO roots (path, since, chosen) VALUES (?, 0, ?) "
            "ON CONFLICT (path) DO UPDATE SET chosen = max(chosen, excluded.chosen)"
        )
        self._database.write(lambda connection: run(connection, row, str(root), chosen))
        rows = self._rows("SELECT id FROM roots WHERE path = ?", str(root))
        return int(rows[0][0]) if rows else 0

    def end(self, root: int, folders: Collection[str], closed: Collection[str] = ()) -> int:
        """Note that a root was scanned to its end, and had these folders; how many files of other
        folders were forgotten, but for those of `closed` ones and below: who knows."""
        known = self._rows("SELECT id, path FROM folders WHERE root = ?", root)
        gone = [
            number
            for number, path in known
            if path not in folders and not any(_is_below(path, one) for one in closed)
        ]
        dropped = 0

        def write(connection: sqlite3.Connection) -> None:
            nonlocal dropped
            dropped = sum(drop_folder(connection, number) for number in gone)
            run(connection, "UPDATE roots SET since = ? WHERE id = ?", time.time(), root)

        self._database.write(write)
        return dropped

    def forget(self, root: Path) -> bool:
        """Forget a root and all that was seen in it; whether it was known."""
        rows = self._rows("SELECT id FROM roots WHERE path = ?", str(root))
        for (number,) in rows:
            self.end(number, ())
            row = "DELETE FROM roots WHERE id = ?"
            self._database.write(lambda connection: run(connection, row, number))  # noqa: B023
        return bool(rows)

    def states(self, root: int, folder: str) -> dict[str, State]:
        """The files that were seen in a folder (its path below the root), by name."""
        rows = self._rows(
            "SELECT f.name, f.size, f.modified, f.digest FROM files f JOIN folders d "
            "ON d.id = f.folder WHERE d.root = ? AND d.path = ?",
            root,
            folder,
        )
        return {
            name: State(size=size, modified=modified, digest=bytes(digest or b""))
            for name, size, modified, digest in rows
        }

    def put(
        self,
        root: int,
        found: Mapping[tuple[str, str], tuple[State, FileFacts | None]],
        gone: Iterable[tuple[str, str]] = (),
    ) -> bool:
        """Replace what is known of files, by (folder, name), and forget those that are `gone`.

        None for the facts: only the state has changed.  Whether it was kept.
        """

        def write(connection: sqlite3.Connection) -> None:
            numbers: dict[str, int] = {}

            def number(folder: str) -> int:
                if folder not in numbers:
                    numbers[folder] = folder_number(connection, root, folder)
                return numbers[folder]

            for folder, name in gone:
                drop(connection, number(folder), name)
            for (folder, name), (state, facts) in found.items():
                put(connection, number(folder), name, state, facts)

        return self._database.write(write)

    def find(self, build_id: str, *, forms: int = 0) -> ScannedFile | None:
        """The file with a build ID (hex): an ELF file that holds `forms`, else a package."""
        if len(build_id) % 2:
            return None
        rows = self._rows(
            f"SELECT {_PATH}, f.package, m.module, f.banner, f.id {_PLACE} "
            "JOIN members m ON m.file = f.id WHERE m.build_id = ? "
            "AND (f.package IS NOT NULL OR f.forms & ? = ?) "
            "ORDER BY f.package IS NOT NULL, f.forms DESC, f.modified DESC",
            *(bytes.fromhex(build_id), forms, forms),
        )
        return next((self._file(row) for row in rows if Path(row[0]).is_file()), None)

    def find_vmlinux(self, banner: str | None, build_id: str | None) -> ScannedFile | None:
        """The vmlinux with DWARF, outside of packages, that has this banner and this build ID
        (hex); None for either: any."""
        if len(build_id or "") % 2:
            return None
        rows = self._rows(
            f"SELECT {_PATH}, f.package, '', f.banner, f.id {_PLACE} "
            "LEFT JOIN members m ON m.file = f.id WHERE f.package IS NULL AND f.forms & ? "
            "AND f.banner = ifnull(?, f.banner) AND (? IS NULL OR m.build_id = ?) "
            "ORDER BY f.modified DESC",
            *(DWARF, banner, build_id, bytes.fromhex(build_id) if build_id else None),
        )
        return next((self._file(row) for row in rows if Path(row[0]).is_file()), None)

    def modules_of(self, vmlinux: Path, uname: str) -> tuple[tuple[str, Path], ...]:
        """The modules with DWARF, by name, that lie beside or below a vmlinux, or in a folder
        `lib/modules/UNAME` of the same root."""
        rows = self._rows(
            f"SELECT m.module, {_PATH} AS place {_PLACE} JOIN members m ON m.file = f.id "
            "WHERE f.package IS NULL AND m.module != '' AND f.forms & ? "
            "AND r.id IN (SELECT d.root FROM files f JOIN folders d ON d.id = f.folder "
            "             JOIN roots r ON r.id = d.root WHERE f.banner IS NOT NULL "
            f"             AND {_PATH} = ?) "
            "AND (substr(place, 1, length(?)) = ? OR instr('/' || d.path || '/', ?) > 0) "
            "ORDER BY place",
            *(DWARF, str(vmlinux), *[f"{vmlinux.parent}/"] * 2, f"/lib/modules/{uname}/"),
        )
        return tuple((name, Path(path)) for name, path in rows)

    def names(self, root: Path) -> tuple[str, ...]:
        """The names that the packages in a root give themselves."""
        rows = self._rows(
            f"SELECT DISTINCT f.package {_PLACE} WHERE r.path = ? AND f.package IS NOT NULL",
            str(root),
        )
        return tuple(name for (name,) in rows)

    def packages(self, root: Path, name: str) -> tuple[Path, ...]:
        """The files in a root that are the package of this name, the newest first."""
        rows = self._rows(
            f"SELECT {_PATH} {_PLACE} WHERE f.package = ? AND r.path = ? ORDER BY f.modified DESC",
            *(name, str(root)),
        )
        return tuple(path for (text,) in rows if (path := Path(text)).is_file())

    def unlisted(self) -> tuple[tuple[Path, str], ...]:
        """The packages, and their names, whose headers tell no build IDs."""
        rows = self._rows(
            f"SELECT {_PATH}, f.package {_PLACE} WHERE f.package IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM members m WHERE m.file = f.id)"
        )
        return tuple((Path(path), name) for path, name in rows)

    def stamp(self) -> tuple[int, ...]:
        """What changes when a package comes, goes or is replaced."""
        query = "SELECT count(*), ifnull(sum(modified / 1000), 0) FROM files WHERE package NOT NULL"
        return tuple(int(number) for row in self._rows(query) for number in row)

    def totals(self, root: Path) -> tuple[int, int, int]:
        """Of a root: files, packages of kernels among them, build IDs."""
        rows = self._rows(
            "SELECT count(*), count(f.package), ifnull(sum((SELECT count(*) FROM members m "
            f"WHERE m.file = f.id)), 0) {_PLACE} WHERE r.path = ?",
            str(root),
        )
        return rows[0] if rows else (0, 0, 0)

    def _file(self, row: Sequence[Any]) -> ScannedFile:
        path, package, module, banner, file = row
        rows = self._rows("SELECT build_id FROM members WHERE file = ? AND module = ''", file)
        return ScannedFile(
            path=Path(path),
            package=package or "",
            module=module,
            banner=banner or "",
            kernel_build_id=bytes(rows[0][0]).hex() if len(rows) == 1 else None,
        )

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        return self._database.rows(query, values)


def _is_below(path: str, folder: str) -> bool:
    """Whether a folder is another, or in it; "" has all."""
    return not folder or f"{path}/".startswith(f"{folder}/")
