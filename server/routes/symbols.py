"""`/api/v1/identify` and `/api/v1/symbols`: which kernel, and to have it brought."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from aiohttp import web

from kernsym.cache import Bundle, Held
from kernsym.cache.messages import JobStatus, SymbolsRequest
from kernsym.cache.own_builds import with_own_builds
from kernsym.cache.tokens import TokenRole
from kernsym.distros import Fingerprint, Verdict, identify
from kernsym.server.gate.access import requester_of, require
from kernsym.server.held import fingerprint_of, only_build_id
from kernsym.server.jobs import Job
from kernsym.server.keys import JOBS, LOOKUP, PREPARER, STORE, SYMBOLS
from kernsym.server.lookup.lookup import KERNEL, Ask, BeingFetched
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.asks import asker_of
from kernsym.server.routes.route import Body, Route


async def _identify(request: web.Request, fingerprint: Fingerprint) -> web.Response:
    """Say which kernel a fingerprint is of, and why; of those that somebody added too."""
    store = request.app[STORE]
    verdict = await asyncio.to_thread(
        lambda: with_own_builds(store, fingerprint, identify(fingerprint))
    )
    return json_answer(verdict)


async def _symbols(request: web.Request, wanted: SymbolsRequest) -> web.Response:
    """Ask for symbols: 200 with the bundle when all of it is held, else 202 with the job.

    To have something brought needs a token with the role fetch.  Of a kernel of which only a build
    ID is known 503 may come first: ask again until it is found out which one it is.
    """
    found = await held_or_job(request, wanted)
    if isinstance(found, Bundle):
        return json_answer(found)
    location = {"Location": f"/api/v1/jobs/{found.id}"}
    return json_answer(found.status(), status=202, headers=location)


async def held_or_job(request: web.Request, wanted: SymbolsRequest) -> Bundle | Job:
    """The bundle when all that is wanted is held, else the job that brings it, if the request may
    have something brought.  Raises what the route declares."""
    symbols = request.app[SYMBOLS]
    held = await asyncio.to_thread(symbols.held, wanted)
    if held is not None:
        request.app[PREPARER].consider(held.kernel)
        return held
    require(request, TokenRole.FETCH)
    name = requester_of(request).name
    try:
        return await symbols.start(await _named(request, wanted), asked_by=name)
    except BeingFetched as error:
        job = request.app[JOBS].get(error.job.id) if error.job else None
        if job is None:
            raise
        await symbols.join(job, wanted, asked_by=name)
        return job


async def _named(request: web.Request, wanted: SymbolsRequest) -> SymbolsRequest:
    """The same by what names the kernel, where only a build ID was given.  Raises `BeingFetched`
    until the kernel has come that has it, and as `Lookup.find`."""
    build_id = only_build_id(wanted.fingerprint)
    if not build_id:
        return wanted
    ask = Ask(artefact=KERNEL, asker=asker_of(request), patient=False)
    held = await request.app[LOOKUP].find(build_id.lower(), ask)
    assert isinstance(held, Held)
    bundle = await asyncio.to_thread(lambda: held.bundle)
    return replace(wanted, fingerprint=fingerprint_of(bundle))


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
        problems=(
            "role-missing",
            "writes-off",
            "not-identified",
            "vmlinux-mismatch",
            "not-held",
            "being-fetched",
            "could-not-find-out",
        ),
    ),
)
