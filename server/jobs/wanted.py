"""Which modules a running pass shall bring out; grows while the pass runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from kernsym.cache import Bundle, FileRole
from kernsym.distros import normalise_module

_PROMISE_SECONDS = 60.0


class Wanted:
    """Names of modules, in the kernel's spelling.  Safe to use from several threads.

    Somebody who will know the names only after seeing vmlinux promises to say them: `settle`
    then holds the pass back, for a minute at the most.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._names: set[str] = set()
        self._everything = False
        self._promises = 0
        self._closed = False

    def add(self, names: Iterable[str] | None, *, everything: bool) -> None:
        """Ask for modules; None is a promise, which the next names redeem."""
        with self._changed:
            self._everything |= everything
            if names is None and not everything:
                self._promises += 1
            else:
                self._names.update(normalise_module(name) for name in names or ())
                self._promises = max(0, self._promises - 1)
            self._changed.notify_all()

    def settle(self) -> None:
        """Wait until no promise is open, or its time is over, or the job is."""
        deadline = time.monotonic() + _PROMISE_SECONDS
        with self._changed:
            while self._promises and not self._closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    self._promises = 0
                    return
                self._changed.wait(left)

    def close(self) -> None:
        """Nobody is held back any longer: the job is over."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def promised(self) -> bool:
        """Whether somebody still has to name modules."""
        with self._changed:
            return self._promises > 0

    @property
    def closed(self) -> bool:
        with self._changed:
            return self._closed

    @property
    def everything(self) -> bool:
        with self._changed:
            return self._everything

    def names(self) -> set[str]:
        """What is asked for by name at this moment."""
        with self._changed:
            return set(self._names)

    def satisfied_by(self, bundle: Bundle) -> bool:
        """Whether a bundle holds all of it, or is known to lack the rest."""
        if bundle.first(FileRole.VMLINUX) is None:  # copied from a server: only the prepared one
            return False
        if self.everything and not bundle.all_modules:
            return False
        return self.names() <= {*bundle.modules(), *bundle.absent}
