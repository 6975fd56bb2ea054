"""Who uses a kernel right now, and when it was last used.

    STORE/locks/<distro>,<arch>,<uname>,<version>.use

Whoever reads a kernel's files holds this file's lock, shared with all others who do; whoever wants
to remove it needs the lock alone.  The lock ends with its holder, kill -9 included.  The time
of the file is that of the last use.  On media that take no writes readers still share the lock.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kernsym.cache.locks import Busy, try_lock
from kernsym.cache.tree import Tree
from kernsym.distros import KernsymError

USE = "use"
_GLANCES, _GLANCE_SECONDS = 20, 0.002  # who only looks whether it is used has the lock for a moment
_NOTE_SECONDS = 30.0  # a use is noted on the disk so often at the most


@dataclass(slots=True)
class _Use:
    """A lock that this process holds; `holders` of it are under way."""

    descriptor: int
    noted: float
    last: float = field(default_factory=time.monotonic)
    holders: int = 0


class Uses:
    """What this process uses of a store.  Safe between threads."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._guard = threading.Lock()
        self._uses: dict[str, _Use] = {}

    @contextlib.contextmanager
    def using(self, key: str) -> Iterator[None]:
        """Keep a kernel from being removed.

        Raises `KernsymError` (`not-held`) when it is being removed at this moment.
        """
        use = self._begin(key, 1)
        try:
            yield
        finally:
            with self._guard:
                use.holders -= 1
                use.last = time.monotonic()

    def note(self, key: str) -> None:
        """A kernel was used just now, and may be again soon: until `let_go` it stays in use."""
        with contextlib.suppress(KernsymError):
            self._begin(key, 0)

    def let_go(self, idle_seconds: float = 0.0) -> None:
        """End the uses that nobody holds and that were noted longer ago than this."""
        with self._guard:
            latest = time.monotonic() - idle_seconds
            for key, use in list(self._uses.items()):
                if not use.holders and use.last <= latest:
                    del self._uses[key]
                    os.close(use.descriptor)

    def close(self) -> None:
        """End all uses."""
        with self._guard:
            for use in self._uses.values():
                os.close(use.descriptor)
            self._uses.clear()

    def last_use(self, key: str) -> float:
        """When a kernel was last used or published, in seconds since the epoch; 0: not known."""
        for path in (self.path(key), self._tree.manifest(key)):
            with contextlib.suppress(OSError):
                return path.stat().st_mtime
        return 0.0

    def path(self, key: str) -> Path:
        """The file whose lock is held."""
        return self._tree.lock(key, USE)

    def _begin(self, key: str, holders: int) -> _Use:
        now = time.monotonic()
        with self._guard:
            use = self._uses.get(key)
            if use is None:
                use = self._uses[key] = _Use(self._lock(key), now - _NOTE_SECONDS - 1)
            use.holders += holders
            use.last = now
            if now - use.noted > _NOTE_SECONDS:
                use.noted = now
                with contextlib.suppress(OSError):  # media that take no writes
                    os.utime(use.descriptor)
        return use

    def _lock(self, key: str) -> int:
        """A descriptor that holds the lock; of nothing where there can be none: nobody who shares
        these media could remove the kernel either."""
        for _ in range(_GLANCES):
            try:
                return try_lock(self.path(key), shared=True)
            except Busy:
                time.sleep(_GLANCE_SECONDS)
            except OSError:
                return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        raise KernsymError("not-held", f"the kernel {key} is being removed", hint="ask again")
