"""`/api/v1/identify` and `/api/v1/symbols`: which kernel, and to have it brought."""

from __future__ import annotations

import asyncio

from aiohttp import web

from kernsym.cache import Bundle
from kernsym.cache.messages import JobStatus, SymbolsRequest
from kernsym.cache.tokens import TokenRole
from kernsym.distros import Fingerprint, Verdict, identify
from kernsym.server.access import requester_of, require
from kernsym.server.keys import SYMBOLS
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Body, Route


async def _identify(request: web.Request, fingerprint: Fingerprint) -> web.Response:
    """Say which kernel a fingerprint is of, and why."""
    return json_answer(await asyncio.to_thread(identify, fingerprint))


async def _symbols(request: web.Request, wanted: SymbolsRequest) -> web.Response:
    """Ask for symbols: 200 with the bundle when all of it is held, else 202 with the job.

    To have something brought needs a token with the role fetch.
    """
    symbols = request.app[SYMBOLS]
    held = await asyncio.to_thread(symbols.held, wanted)
    if held is not None:
        return json_answer(held)
    require(request, TokenRole.FETCH)
    job = await symbols.start(wanted, asked_by=requester_of(request).name)
    return json_answer(job.status(), status=202, headers={"Location": f"/api/v1/jobs/{job.id}"})


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/identify",
        handler=Body(Fingerprint, _identify),
        role=TokenRole.READ,
        answers={200: Verdict},
    ),
    Route(
        method="POST",
        path="/api/v1/symbols",
        handler=Body(SymbolsRequest, _symbols),
        role=TokenRole.READ,
        answers={200: Bundle, 202: JobStatus},
        problems=("role-missing", "writes-off", "not-identified", "vmlinux-mismatch"),
    ),
)
