"""Keeps the store within its limits while the server runs; nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from aiohttp import web

from kernsym.cache import Store
from kernsym.cache.upkeep import Limits, collect
from kernsym.distros import KernsymError
from kernsym.server.process.reload import Reload
from kernsym.server.watch.removals import log_collected, log_lacking

log = logging.getLogger(__name__)

_LOOK_SECONDS = 5.0
_IDLE_SECONDS = 10.0  # whoever copies a kernel file by file comes back sooner
_OFTEN, _SELDOM = 15.0, 3600.0  # between two looks: at a store that is too large, at others


class Upkeep:
    """Looks at the limits after each job, and now and then."""

    def __init__(self, store: Store, reload: Reload) -> None:
        self._store = store
        self._reload = reload
        self._due = time.monotonic() + _LOOK_SECONDS
        self._stopped = False
        self._lacking = False

    def job_ended(self) -> None:
        """The store has grown: look at the limits at the next occasion."""
        self._due = time.monotonic()

    def collect_if_due(self, limits: Limits) -> None:
        """Remove what exceeds the limits, when it is time to look."""
        if not limits or time.monotonic() < self._due:
            return
        try:
            collected = collect(self._store, limits, stop=lambda: self._stopped)
        except (OSError, KernsymError) as error:
            log.warning("the store cannot be looked through: %s", error)
            self._due = time.monotonic() + _OFTEN
            return
        log_collected(collected)
        if collected.lacking and not self._lacking:
            log_lacking(collected)
        self._lacking = bool(collected.lacking)
        self._due = time.monotonic() + (_OFTEN if collected.lacking else _SELDOM)

    async def work(self, app: web.Application) -> AsyncIterator[None]:
        """For as long as an application runs."""
        stopped = asyncio.Event()
        self._reload.on_change(lambda new: self.job_ended(), "limits")

        async def look() -> None:
            while not stopped.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(stopped.wait(), _LOOK_SECONDS)
                if not stopped.is_set():
                    await asyncio.to_thread(self.collect_if_due, self._reload.config.limits)

        task = asyncio.create_task(look(), name="keep the store within its limits")
        yield
        stopped.set()
        self._stopped = True
        await task


async def let_go_of_kernels(store: Store) -> None:
    """A kernel that was sent from stays in use for a while, then no longer."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        store.uses.let_go(_IDLE_SECONDS)
