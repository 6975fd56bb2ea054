"""Whether the server lives, `/healthz`, whether it can do its work, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from kernsym.cache.messages import Health
from kernsym.cache.tokens import TokenRole
from kernsym.distros import KernsymError
from kernsym.server.keys import CONFIG, METRICS, STORE
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Media, Route
from kernsym.server.watch.readiness import shortcomings


async def _healthz(request: web.Request) -> web.Response:
    """Say that the server lives."""
    return json_answer(Health(status="ok", version=version("kernsym")))


async def _readyz(request: web.Request) -> web.Response:
    """Say whether the server can do its work: 200, or 503 with what is short."""
    store, config = request.app[STORE], request.app[CONFIG]
    found: tuple[str, ...] = ()
    if not config.offline:  # else it serves what it has, also from media that cannot be written
        least_free = config.options.least_free_mb << 20
        found = await asyncio.to_thread(lambda: tuple(shortcomings(store, least_free=least_free)))
    if found:
        raise KernsymError("not-ready", "the server cannot do its work", context=found)
    return json_answer(Health(status="ready", version=version("kernsym")))


async def _metrics(request: web.Request) -> web.Response:
    """Show the numbers to Prometheus, in its text format or, where accepted, OpenMetrics."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = await asyncio.to_thread(encode, request.app[METRICS].registry)
    return web.Response(body=body, headers={"Content-Type": content_type})


# Open to all: who balances load has no token.
ROUTES = (
    Route(
        method="GET",
        path="/healthz",
        handler=_healthz,
        role=None,
        answers={200: Health},
    ),
    Route(
        method="GET",
        path="/readyz",
        handler=_readyz,
        role=None,
        answers={200: Health},
        problems=("not-ready",),
    ),
    Route(
        method="GET",
        path="/metrics",
        handler=_metrics,
        role=TokenRole.READ,
        answers={200: Media(type="text/plain")},
    ),
)
