"""An SQLite database that may be lost: shared between processes, made anew when it is damaged.

Its file is `NAME-1.db`, after a damage `NAME-2.db` and so on: who still has the damaged one open
would, on closing it, remove the log of another file of the same name.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from kernsym.cache.locks import hold

T = TypeVar("T")

_WAIT_SECONDS = 10.0
_PAGES_IN_MEMORY = -1000  # a megabyte for each thread that asks

Work = Callable[[sqlite3.Connection], T]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A connection, and the file that it was made to."""

    connection: sqlite3.Connection
    path: Path
    inode: int
    in_use: threading.Lock


class Database:
    """The database NAME in `folder`, with the tables that `script` makes.

    `schema`: a number above 0; a database of another one is as good as none.  `lock`: a file that
    is held while the database is made.

    No method raises for the state of the disk.  Threads have a connection each.
    """

    def __init__(self, folder: Path, name: str, *, schema: int, script: str, lock: Path) -> None:
        self._folder = folder
        self._name = name
        self._schema = schema
        self._script = script
        self._lock = lock
        self._thread = threading.local()
        self._all: list[_Open] = []
        self._guard = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Close the connections of all threads; from now on nothing is known."""
        with self._guard:
            self._closed = True
            for opened in self._all:
                with opened.in_use:
                    opened.connection.close()
            self._all.clear()

    def rows(
        self, query: str, values: Sequence[object] | Mapping[str, object] = ()
    ) -> list[tuple[Any, ...]]:
        """The answer to a query; none while the database cannot be asked."""
        return self.ask(lambda connection: connection.execute(query, values).fetchall()) or []

    def ask(self, work: Work[T]) -> T | None:
        """What `work` reads; None while the database cannot be asked."""
        for _ in range(2):
            try:
                opened = self._opened()
                with opened.in_use:
                    return work(opened.connection)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    return None
                self._discard()
            except OSError:
                return None
        return None

    def write(self, work: Work[None]) -> bool:
        """Do `work` in one transaction; whether it is kept."""

        def transaction(connection: sqlite3.Connection) -> bool:
            connection.execute("BEGIN IMMEDIATE")
            try:
                work(connection)
                connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
                raise
            return True

        return bool(self.ask(transaction))

    def _opened(self) -> _Open:
        """This thread's connection, made again when its file is gone or another by now."""
        opened: _Open | None = getattr(self._thread, "opened", None)
        if opened is not None and _inode(opened.path) == opened.inode:
            return opened
        self._let_go()
        path = self._newest()
        with self._guard:
            if self._closed:
                raise sqlite3.ProgrammingError("the database is closed")
            connection = _connect(path)
            opened = _Open(
                connection=connection, path=path, inode=_inode(path), in_use=threading.Lock()
            )
            self._all.append(opened)
            self._thread.opened = opened
            connection.execute(f"PRAGMA cache_size = {_PAGES_IN_MEMORY}")
            connection.execute("PRAGMA synchronous = NORMAL")  # lost at a power cut, never damaged
            if connection.execute("PRAGMA user_version").fetchone()[0] != self._schema:
                raise sqlite3.DatabaseError("a database of another schema")
        return opened

    def _discard(self) -> None:
        """Put an empty database in the place of this thread's, unless somebody has done so."""
        opened: _Open | None = getattr(self._thread, "opened", None)
        self._let_go()
        if opened is None:
            return
        with contextlib.suppress(OSError, sqlite3.Error), hold(self._lock):
            if _inode(opened.path) == opened.inode:
                self._make(_generation(opened.path) + 1)
                for suffix in ("", "-wal", "-shm"):
                    opened.path.with_name(opened.path.name + suffix).unlink(missing_ok=True)

    def _let_go(self) -> None:
        opened: _Open | None = getattr(self._thread, "opened", None)
        if opened is not None:
            self._thread.opened = None
            with self._guard:
                if opened in self._all:
                    self._all.remove(opened)
            opened.connection.close()

    def _newest(self) -> Path:
        """The file of the highest number; an empty database is made where there is none."""
        if not self._generations():
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o770)
            with hold(self._lock):
                if not self._generations():
                    self._make(1)
        return self._file(max(self._generations(), default=1))

    def _make(self, generation: int) -> None:
        """Make an empty database; it appears with its tables."""
        path = self._file(generation)
        beside = path.with_suffix(".new")
        beside.unlink(missing_ok=True)
        beside.touch(mode=0o666)  # SQLite asks no umask, and gives the log the same permissions
        with contextlib.closing(_connect(beside)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(
                f"BEGIN; {self._script} PRAGMA user_version = {self._schema}; COMMIT;"
            )
        beside.replace(path)

    def _generations(self) -> list[int]:
        return [_generation(path) for path in self._folder.glob(f"{self._name}-*.db")]

    def _file(self, generation: int) -> Path:
        return self._folder / f"{self._name}-{generation}.db"


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is broken, and not only busy, read-only, or the disk full."""
    if isinstance(error, sqlite3.OperationalError):
        return str(error).startswith("no such table")
    return type(error) is sqlite3.DatabaseError


def _connect(path: Path) -> sqlite3.Connection:
    """A log that is left, or can be made, is read too; on read-only media there may be none."""
    wal = path.with_name(f"{path.name}-wal")
    immutable = not os.access(path.parent, os.W_OK) and not wal.exists()
    return sqlite3.connect(
        f"file:{quote(str(path))}{'?immutable=1' if immutable else ''}",
        timeout=_WAIT_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        uri=True,
    )


def _generation(path: Path) -> int:
    found = re.search(r"-([0-9]+)\.db\Z", path.name)
    return int(found[1]) if found else 0


def _inode(path: Path) -> int:
    """0 while there is no such file."""
    try:
        return path.stat().st_ino
    except OSError:
        return 0
