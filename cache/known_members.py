"""Which kernel a build ID is of, for files that are not held: modules that were not unpacked, and
all of kernels that were removed.

    STORE/known/<distro>,<arch>,<uname>,<version>.json      one file per kernel: the truth
    STORE/index/known-1.db                                  made from them, for look-ups
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec

from kernsym.cache.atomic import write_atomic
from kernsym.cache.bundle import Bundle, FileRole
from kernsym.cache.database import Database
from kernsym.cache.locks import hold
from kernsym.cache.manifests import stamp_of

_SCHEMA = 2
_MOST_KERNELS = 1000  # of 0.23 MB each with all its modules
_TABLES = """
CREATE TABLE kernels (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL,
    banner TEXT NOT NULL, build_id BLOB, package TEXT NOT NULL);
CREATE INDEX kernels_build_id ON kernels (build_id) WHERE build_id IS NOT NULL;
CREATE TABLE modules (build_id BLOB, kernel INTEGER, name TEXT NOT NULL,
    PRIMARY KEY (build_id, kernel)) WITHOUT ROWID;
CREATE INDEX modules_kernel ON modules (kernel);
"""
_FIND = """
SELECT k.banner, k.build_id, k.package, m.name FROM modules m JOIN kernels k ON k.id = m.kernel
WHERE m.build_id = :id UNION ALL
SELECT banner, build_id, package, '' FROM kernels WHERE build_id = :id
LIMIT 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKernel:
    """What is known of a kernel's packages.

    `banner` and `build_id` are the vmlinux's, "" and None while it was not unpacked.  `modules`:
    their names by build ID, as far as they were seen; "" is what may be vmlinux.  `listed`: ids of
    the packages of which every module was seen.  `package`: the name of the file of one.
    """

    key: str
    banner: str = ""
    build_id: str | None = None
    package: str = ""
    modules: dict[str, str] = field(default_factory=dict)
    listed: tuple[str, ...] = ()

    @classmethod
    def of(cls, bundle: Bundle) -> KnownKernel:
        """What a manifest tells."""
        shown = bundle.verification
        return cls(
            key=bundle.kernel.key,
            banner=shown.banner,
            build_id=shown.build_id,
            modules={
                file.build_id: file.name
                for file in bundle.found
                if file.build_id and file.role is FileRole.MODULE
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Whose file it is: the kernel's banner and build ID, or its package where it was not unpacked
    yet; and the module's name, "" for vmlinux."""

    banner: str
    package: str
    kernel_build_id: str | None
    module: str


class KnownMembers:
    """What is known, in `folder`, and its index in `index`.  Safe between threads and processes.

    `lock`: a file that is held while somebody writes.
    """

    def __init__(self, folder: Path, index: Path, lock: Path) -> None:
        self._folder = folder
        self._lock = lock
        making = lock.with_name(f"{lock.name}-index")
        self._database = Database(index, "known", schema=_SCHEMA, script=_TABLES, lock=making)

    def close(self) -> None:
        self._database.close()

    def read(self, key: str) -> KnownKernel | None:
        """What is known of one kernel."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path(key).read_bytes(), type=KnownKernel)
        return None

    def remember(self, kernel: KnownKernel) -> None:
        """Add to what is known of a kernel; another build of the same name replaces it.  On a disk
        that takes no writes it is forgotten."""
        with contextlib.suppress(OSError), hold(self._lock):
            before = self.read(kernel.key)
            if before is not None and _may_be_same(before, kernel):
                kernel = replace(
                    kernel,
                    banner=kernel.banner or before.banner,
                    build_id=kernel.build_id or before.build_id,
                    package=kernel.package or before.package,
                    modules=before.modules | kernel.modules,
                    listed=tuple(dict.fromkeys((*before.listed, *kernel.listed))),
                )
            write_atomic(self._path(kernel.key), msgspec.json.encode(kernel))
            self._index(kernel)
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        """Keep the kernels of which something was learnt last."""
        paths = list(self._folder.glob("*.json"))
        if len(paths) <= _MOST_KERNELS:
            return
        paths.sort(key=lambda path: path.stat().st_mtime)
        for path in paths[: len(paths) - _MOST_KERNELS * 9 // 10]:
            key = path.stem.replace(",", "/")
            path.unlink(missing_ok=True)
            self._database.write(partial(_drop, key=key))

    def find(self, build_id: str) -> Member | None:
        """Whose file has this build ID (hex)."""
        rows = self._database.rows(_FIND, {"id": bytes.fromhex(build_id)})
        if not rows:
            return None
        banner, number, package, module = rows[0]
        return Member(
            banner=banner,
            package=package,
            kernel_build_id=number.hex() if number else None,
            module=module,
        )

    def mend(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Bring the index into line with the files; ends early when `stop()`."""
        stamps = dict(self._database.rows("SELECT key, stamp FROM kernels"))
        for path in sorted(self._folder.glob("*.json")):
            if stop():
                return
            key = path.stem.replace(",", "/")
            if stamps.get(key) != stamp_of(path) and (kernel := self.read(key)) is not None:
                self._index(kernel)

    def _index(self, kernel: KnownKernel) -> None:
        stamp = stamp_of(self._path(kernel.key))

        def write(connection: sqlite3.Connection) -> None:
            _drop(connection, kernel.key)
            own = bytes.fromhex(kernel.build_id) if kernel.build_id else None
            number = connection.execute(
                "INSERT INTO kernels (key, stamp, banner, build_id, package) "
                "VALUES (?, ?, ?, ?, ?)",
                (kernel.key, stamp, kernel.banner, own, kernel.package),
            ).lastrowid
            connection.executemany(
                "INSERT OR IGNORE INTO modules VALUES (?, ?, ?)",
                ((bytes.fromhex(one), number, name) for one, name in kernel.modules.items()),
            )

        self._database.write(write)

    def _path(self, key: str) -> Path:
        return self._folder / f"{key.replace('/', ',')}.json"


def _drop(connection: sqlite3.Connection, key: str) -> None:
    row = connection.execute("SELECT id FROM kernels WHERE key = ?", (key,))
    for number in row.fetchall():
        connection.execute("DELETE FROM modules WHERE kernel = ?", number)
        connection.execute("DELETE FROM kernels WHERE id = ?", number)


def _may_be_same(before: KnownKernel, after: KnownKernel) -> bool:
    return not before.banner or not after.banner or before.banner == after.banner
