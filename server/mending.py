"""Keeps the store's file index right while the server runs; nothing waits for it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from aiohttp import web

from kernsym.cache import Store
from kernsym.server.keys import STORE

_PAUSE_SECONDS = 5.0


async def keep_index(app: web.Application) -> AsyncIterator[None]:
    """Mend the index once in the beginning, and whenever it was found damaged and made anew."""
    stopped = asyncio.Event()
    task = asyncio.create_task(_mend(app[STORE], stopped), name="mend the file index")
    yield
    stopped.set()
    await task  # it may be at work in a thread, which ends soon


async def _mend(store: Store, stopped: asyncio.Event) -> None:
    await asyncio.to_thread(store.mend_index, stopped.is_set)
    while not stopped.is_set():
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(stopped.wait(), _PAUSE_SECONDS)
        if not await asyncio.to_thread(lambda: store.files.complete):
            await asyncio.to_thread(store.mend_index, stopped.is_set)
