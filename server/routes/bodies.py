"""Reading what a request brings."""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.client_exceptions import ClientError

from kernsym.distros import CouldNotFindOut, Unusable
from kernsym.server.keys import CONFIG

_MOST_BYTES_AT_ONCE = 1 << 20


async def read_body(request: web.Request) -> bytes:
    """The whole body.  Raises `Unusable` (`body-too-slow`) when it does not come in time."""
    seconds = request.app[CONFIG].options.idle_seconds
    try:
        return await asyncio.wait_for(request.read(), seconds)
    except asyncio.TimeoutError:
        raise Unusable(
            "body-too-slow", f"the body was not there after {seconds:g} seconds"
        ) from None


class IncomingBody:
    """The body of a request, as a thread reads it while it comes."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._seconds = request.app[CONFIG].options.idle_seconds
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, b"" at the end.  Raises `CouldNotFindOut` (`upload-cut`), also when
        nothing comes for long."""
        if self._closed:
            raise CouldNotFindOut("upload-cut", "whoever sent it has gone")
        size = min(size, _MOST_BYTES_AT_ONCE) if size > 0 else _MOST_BYTES_AT_ONCE
        reading = asyncio.wait_for(self._content.read(size), self._seconds)
        coming = asyncio.run_coroutine_threadsafe(reading, self._loop)
        try:
            return coming.result()
        except (ClientError, OSError, asyncio.TimeoutError, web.HTTPException) as error:
            raise CouldNotFindOut("upload-cut", "what was sent did not arrive whole") from error

    def close(self) -> None:
        self._closed = True
