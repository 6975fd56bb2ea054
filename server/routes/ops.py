"""Whether the server lives: `/healthz`."""

from __future__ import annotations

from importlib.metadata import version

from aiohttp import web

from kernsym.cache.messages import Health
from kernsym.server.routes.answers import json_answer


def add_ops_routes(app: web.Application) -> None:
    app.router.add_get("/healthz", _healthz)


async def _healthz(request: web.Request) -> web.Response:
    return json_answer(Health(status="ok", version=version("kernsym")))
