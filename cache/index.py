"""Small facts beside the store: misses with an expiry.

Nothing here is needed: facts that cannot be read or written are done without.
JSONDisk, never pickle: a store may be writable by others than its reader.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import diskcache

from kernsym.distros import Kernel, NotPublished

_MISS_SECONDS = 3600.0
_SIZE_SECONDS = 90 * 86_400.0
_UNWELL = (sqlite3.Error, diskcache.Timeout, OSError, ValueError)


class Index:
    """Facts in `folder`, shared between processes.  Use as a context manager or `close()` it."""

    def __init__(self, folder: Path) -> None:
        self._cache = _open(folder)

    def close(self) -> None:
        if self._cache is not None:
            self._cache.close()

    def remember_miss(self, kernel: Kernel, asked: Hashable, error: NotPublished) -> None:
        """That nobody of those `asked` (any value whose repr tells them) publishes it.

        Only `NotPublished` can be remembered, by its type.
        """
        fact = [error.code, error.message, list(error.context), error.hint]
        self._set(_miss_key(kernel, asked), fact, expire=_MISS_SECONDS)

    def miss(self, kernel: Kernel, asked: Hashable) -> NotPublished | None:
        """The remembered answer that nobody of those `asked` publishes this kernel, while it
        holds: to name another source is to ask anew."""
        fact = self._get(_miss_key(kernel, asked))
        if fact is None:
            return None
        code, message, context, hint = fact
        note = "answer of less than an hour ago"
        return NotPublished(code, message, context=(*context, note), hint=hint)

    def size(self, name: str) -> int | None:
        """A size that was remembered, in bytes."""
        found = self._get(f"size:{name}")
        return found if isinstance(found, int) else None

    def remember_size(self, name: str, size: int) -> None:
        """Keep a size that never changes for its `name`, for some months."""
        self._set(f"size:{name}", size, expire=_SIZE_SECONDS)

    def remember_withdrawal(self, kernel_key: str, why: str) -> None:
        """That files of a kernel were given out and proved to be wrong."""
        self._set(f"withdrawn:{kernel_key}", why)

    def withdrawal(self, kernel_key: str) -> str | None:
        """Why files of a kernel were withdrawn, until it is brought again."""
        found = self._get(f"withdrawn:{kernel_key}")
        return str(found) if found is not None else None

    def forget_withdrawal(self, kernel_key: str) -> None:
        self._delete(f"withdrawn:{kernel_key}")

    def _get(self, key: str) -> Any:
        """The fact, or None."""
        if self._cache is not None:
            with contextlib.suppress(*_UNWELL):
                return self._cache.get(key)
        return None

    def _delete(self, key: str) -> None:
        if self._cache is not None:
            with contextlib.suppress(*_UNWELL):
                self._cache.delete(key, retry=True)

    def _set(self, key: str, fact: object, expire: float | None = None) -> None:
        if self._cache is not None:
            with contextlib.suppress(*_UNWELL):
                self._cache.set(key, fact, expire=expire)


def _open(folder: Path) -> diskcache.Cache | None:
    """The cache in `folder`, made anew when it is damaged; None on a disk that takes no writes."""
    for _ in range(2):
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o770)
            if not (folder / "cache.db").exists():
                (folder / "cache.db").touch(mode=0o666)  # SQLite asks no umask
            return diskcache.Cache(str(folder), disk=diskcache.JSONDisk, timeout=10)
        except sqlite3.OperationalError:
            return None
        except sqlite3.DatabaseError:
            for path in folder.glob("cache.db*"):
                path.unlink(missing_ok=True)
        except OSError:
            return None
    return None


def _miss_key(kernel: Kernel, asked: Hashable) -> str:
    return f"miss:{kernel.key}:" + hashlib.sha256(repr(asked).encode()).hexdigest()
