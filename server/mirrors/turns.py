"""How many packages one host is asked for at a time, by work that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

_LOOK_SECONDS = 0.5


class Turns:
    """Belongs to one event loop.  `most`: downloads from one host; a person's begins anyhow."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._busy: Counter[str] = Counter()
        self._ended = asyncio.Event()

    @contextlib.asynccontextmanager
    async def turn(self, url: str, hurried: Callable[[], bool]) -> AsyncIterator[None]:
        """The time of one download.  `hurried`: whether a person waits for it, asked again and
        again while it has to wait."""
        host = urlsplit(url).netloc
        while self._busy[host] >= self._most and not hurried():
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _LOOK_SECONDS)
        self._busy[host] += 1
        try:
            yield
        finally:
            self._busy[host] -= 1
            self._ended.set()
            self._ended = asyncio.Event()
