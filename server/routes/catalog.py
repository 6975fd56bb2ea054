"""`/api/v1/catalog`: what the sources publish, and what they did."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kernsym.cache.planning import CatalogRecords, CatalogRequest, CatalogUpdates
from kernsym.cache.tokens import TokenRole
from kernsym.server.keys import STORE, WATCH
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Body, Route


async def _update(request: web.Request, wanted: CatalogRequest) -> web.Response:
    """Ask the sources for all they publish, and remember it.

    A source that cannot be asked, or that lists much less than before, changes nothing and has its
    problem in the answer.
    """
    found = await asyncio.to_thread(request.app[WATCH].update, wanted)
    return json_answer(CatalogUpdates(sources=found))


async def _records(request: web.Request) -> web.Response:
    """Show all that sources have published since they are watched, and what has gone."""
    publications = request.app[STORE].publications
    found = await asyncio.to_thread(lambda: tuple(publications.records()))
    return json_answer(CatalogRecords(sources=found))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/catalog",
        handler=Body(CatalogRequest, _update),
        role=TokenRole.FETCH,
        answers={200: CatalogUpdates},
        problems=("no-such-series", "nothing-watched", "disk-full"),
    ),
    Route(
        method="GET",
        path="/api/v1/catalog",
        handler=_records,
        role=TokenRole.READ,
        answers={200: CatalogRecords},
    ),
)
