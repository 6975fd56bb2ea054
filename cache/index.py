"""Small facts beside the store: banner → kernel, misses with an expiry, last use.

The manifests are the truth; an index that was lost costs a look at every manifest, nothing more.
JSONDisk, never pickle: a store may be writable by others than its reader.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import time
from collections.abc import Hashable
from pathlib import Path

import diskcache

from kernsym.distros import Kernel, NotPublished

_MISS_SECONDS = 3600.0


class Index:
    """Facts in `folder`, shared between processes.  Use as a context manager or `close()` it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._cache = diskcache.Cache(str(folder), disk=diskcache.JSONDisk, timeout=10)

    def close(self) -> None:
        self._cache.close()

    def remember_banner(self, banner: str, kernel_key: str) -> None:
        self._set(_banner_key(banner), kernel_key)

    def kernel_of_banner(self, banner: str) -> str | None:
        """The key of the kernel with exactly this banner, or None."""
        found = self._cache.get(_banner_key(banner))
        return found if isinstance(found, str) else None

    def remember_miss(self, kernel: Kernel, asked: Hashable, error: NotPublished) -> None:
        """That nobody of those `asked` (any value whose repr tells them) publishes it.

        Only `NotPublished` can be remembered, by its type.
        """
        fact = [error.code, error.message, list(error.context), error.hint]
        self._set(_miss_key(kernel, asked), fact, expire=_MISS_SECONDS)

    def miss(self, kernel: Kernel, asked: Hashable) -> NotPublished | None:
        """The remembered answer that nobody of those `asked` publishes this kernel, while it
        holds: to name another source is to ask anew."""
        fact = self._cache.get(_miss_key(kernel, asked))
        if fact is None:
            return None
        code, message, context, hint = fact
        note = "answer of less than an hour ago"
        return NotPublished(code, message, context=(*context, note), hint=hint)

    def touch(self, kernel_key: str) -> None:
        """Note that a kernel was used now."""
        self._set(f"used:{kernel_key}", time.time())

    def last_use(self, kernel_key: str) -> float | None:
        """When a kernel was last used, in seconds since the epoch."""
        found = self._cache.get(f"used:{kernel_key}")
        return float(found) if found is not None else None

    def forget_kernel(self, kernel_key: str, banner: str) -> None:
        self._cache.delete(f"used:{kernel_key}", retry=True)
        self._cache.delete(_banner_key(banner), retry=True)

    def _set(self, key: str, fact: object, expire: float | None = None) -> None:
        """A fact that a full or read-only disk does not take is done without."""
        with contextlib.suppress(sqlite3.Error, diskcache.Timeout):
            self._cache.set(key, fact, expire=expire)


def _banner_key(banner: str) -> str:
    return "banner:" + hashlib.sha256(banner.encode()).hexdigest()


def _miss_key(kernel: Kernel, asked: Hashable) -> str:
    return f"miss:{kernel.key}:" + hashlib.sha256(repr(asked).encode()).hexdigest()
