"""Threads beside the event loop: work that is not left behind when whoever waits for it is
cancelled, and news for those who wait in the loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_MOST_NICE = 19


async def in_thread(work: Callable[[], T], *, stop: Callable[[], None] = lambda: None) -> T:
    """What `work` returns or raises.  When cancelled, `stop` is called, which shall end the thread
    soon, and its end awaited: until then nobody else may work in its place."""
    running = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop()
        while not running.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        running.exception()  # it was stopped: nobody wants to hear of it
        raise


def stand_back(nice: int) -> None:
    """From now on this thread, and those that it starts, yield to the others, by so much more than
    now: on Linux each has a priority of its own.  There is no way back."""
    which = os.PRIO_PROCESS, threading.get_native_id()
    os.setpriority(*which, min(os.getpriority(*which) + nice, _MOST_NICE))


class Bell:
    """Rung in any thread, heard in event loops."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def ring(self) -> None:
        """Have all who wait look again."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for loop, heard in waiting:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(heard.set)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return when the condition holds, which is asked at every ring."""
        while not condition():
            heard = asyncio.Event()
            with self._lock:
                self._waiting.append((asyncio.get_running_loop(), heard))
            if not condition():  # it may have been rung before we were in the list
                await heard.wait()
