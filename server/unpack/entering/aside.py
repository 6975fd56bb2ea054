"""A thread that does something with what goes by."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from kernsym.server.threads import stand_back

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")
_MOST_WAITING = 16
_NICE = 8  # behind the event loop, as the decoders


class Aside(Generic[_Item]):
    """Does `work` with one item after the other, in a thread of its own.  Who is too fast for it
    waits.  After an error it does nothing any more."""

    def __init__(self, work: Callable[[_Item], None]) -> None:
        self.failed = False
        self._work = work
        self._waiting: queue.Queue[_Item | None] = queue.Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="aside", daemon=True)
        self._thread.start()

    def put(self, item: _Item) -> None:
        """Have something done with it."""
        if not self.failed:
            self._waiting.put(item)

    def close(self) -> None:
        """Wait until everything is done."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        stand_back(_NICE)
        while (item := self._waiting.get()) is not None:
            try:
                if not self.failed:
                    self._work(item)
            except Exception as error:
                self.failed = True
                log.warning("no index is left of a package: %s", error)
