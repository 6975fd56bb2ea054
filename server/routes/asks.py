"""Requests for a build ID as the look-up understands them, and the answer to those who do not wait
until it has come."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable

from aiohttp import web

from kernsym.server.lookup.federation import Asker
from kernsym.server.lookup.lookup import Ask, BeingFetched
from kernsym.server.routes.answers import json_answer

_CONDITIONS = (
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "If-Range",
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def asker_of(request: web.Request) -> Asker:
    """Who sends a request."""
    forwarded = ",".join(request.headers.getall("X-Forwarded-For", ()))
    return Asker(
        address=request.remote or "",
        forwarded_for=tuple(filter(None, (hop.strip() for hop in forwarded.split(",")))),
        user_agent=request.headers.get("User-Agent", ""),
    )


def ask_of(request: web.Request, artefact: str) -> Ask:
    """What a request asks for, and by whom.  A program that takes JSON does not wait; who names an
    entity tag or a time waits for the whole file, which alone has them."""
    accepted = request.headers.get("Accept", "")
    impatient = "application/json" in accepted and "application/octet-stream" not in accepted
    conditional = any(name in request.headers for name in _CONDITIONS)
    return Ask(
        artefact=artefact,
        asker=asker_of(request),
        patient=not impatient,
        streamed=artefact == "debuginfo" and not impatient and not conditional,
    )


def or_on_its_way(handler: Handler) -> Handler:
    """`handler`, with the job as its answer when that has to be waited for."""

    @functools.wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BeingFetched as error:
            if error.job is None:
                raise
            headers = {
                "Location": f"/api/v1/jobs/{error.job.id}",
                "Retry-After": str(error.retry_after),
                "Cache-Control": "no-store",
            }
            return json_answer(error.job, status=202, headers=headers)

    return answer
