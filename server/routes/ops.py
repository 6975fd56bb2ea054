"""Whether the server lives, `/healthz`, whether it can do its work, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from importlib.metadata import version

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from kernsym.cache.messages import Health
from kernsym.distros import KernsymError
from kernsym.server.keys import CONFIG, METRICS, STORE
from kernsym.server.readiness import shortcomings
from kernsym.server.routes.answers import json_answer


def add_ops_routes(app: web.Application) -> None:
    app.router.add_get("/healthz", _healthz)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)


async def _healthz(request: web.Request) -> web.Response:
    return json_answer(Health(status="ok", version=version("kernsym")))


async def _readyz(request: web.Request) -> web.Response:
    """200, or 503 with what is short.  Answered to everybody: who balances load has no token."""
    store, config = request.app[STORE], request.app[CONFIG]
    found: tuple[str, ...] = ()
    if not config.offline:  # else it serves what it has, also from media that cannot be written
        least_free = config.options.least_free_mb << 20
        found = await asyncio.to_thread(lambda: tuple(shortcomings(store, least_free=least_free)))
    if found:
        raise KernsymError("not-ready", "the server cannot do its work", context=found)
    return json_answer(Health(status="ready", version=version("kernsym")))


async def _metrics(request: web.Request) -> web.Response:
    """For Prometheus: its text format, or OpenMetrics where that is accepted."""
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    body = await asyncio.to_thread(encode, request.app[METRICS].registry)
    return web.Response(body=body, headers={"Content-Type": content_type})
