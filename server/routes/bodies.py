"""Reading what a request brings."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kernsym.distros import Unusable
from kernsym.server.keys import CONFIG


async def read_body(request: web.Request) -> bytes:
    """The whole body.  Raises `Unusable` (`body-too-slow`) when it does not come in time."""
    seconds = request.app[CONFIG].options.idle_seconds
    try:
        return await asyncio.wait_for(request.read(), seconds)
    except asyncio.TimeoutError:
        raise Unusable(
            "body-too-slow", f"the body was not there after {seconds:g} seconds"
        ) from None
