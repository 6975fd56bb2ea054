"""The debuginfod protocol: `/buildid/ID/{debuginfo,executable,source,section}`.

Paths and headers as in elfutils' debuginfod(8), and what that lacks: HEAD, build IDs in any case,
ranges, conditions, encodings, and misses with a reason.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable

from aiohttp import web

from kernsym.cache import LooseFile
from kernsym.cache.messages import JobStatus
from kernsym.cache.tokens import TokenRole
from kernsym.distros import KernsymError, Unusable
from kernsym.server.jobs.coming import ComingFile
from kernsym.server.keys import ANSWERS, ARTEFACTS, CONFIG, LOOKUP, METRICS, MISSES
from kernsym.server.routes.asks import ask_of, or_on_its_way
from kernsym.server.routes.route import Handler, Media, Route
from kernsym.server.served import Body
from kernsym.server.served.artefacts import UnknownBuildId, cache_control
from kernsym.server.served.body import coming_body
from kernsym.server.served.loose import loose_body
from kernsym.server.watch.request_log import KERNEL_OF

# elfutils takes shorter ones too; a build ID that was cut off must not find anything.
_BUILD_ID = re.compile(r"(?:[0-9a-fA-F]{2}){4,32}")


async def _debuginfo(request: web.Request) -> web.StreamResponse:
    """The file with the DWARF; of most kernels that is the whole vmlinux."""
    return await _answer(request, "debuginfo", request.app[ARTEFACTS].debuginfo)


async def _executable(request: web.Request) -> web.StreamResponse:
    """The file with the code: the same, unless the kernel comes in two halves."""
    return await _answer(request, "executable", request.app[ARTEFACTS].executable)


async def _section(request: web.Request) -> web.StreamResponse:
    """The bytes of one section, as they are in the file."""
    name, artefacts = request.match_info["name"], request.app[ARTEFACTS]
    return await _answer(request, f"section {name}", lambda found: artefacts.section(found, name))


async def _source(request: web.Request) -> web.StreamResponse:
    """A source file by its name in the DWARF, absolute or relative, in any of its spellings."""
    name, artefacts = request.match_info["name"], request.app[ARTEFACTS]
    return await _answer(request, f"source {name}", lambda found: artefacts.source(found, name))


async def _answer(
    request: web.Request, artefact: str, make: Callable[[str], Awaitable[Body]]
) -> web.StreamResponse:
    """What the store holds, else what the look-up brings."""
    misses, metrics = request.app[MISSES], request.app[METRICS]
    if (miss := misses.answer(request)) is not None:
        metrics.lookup("not-held")
        return miss
    build_id = _build_id(request)
    try:
        body = await make(build_id)
        metrics.lookup("held")
    except UnknownBuildId:
        if LOOKUP not in request.app:  # a worker: the fetcher has one
            raise
        body = await _bring(request, build_id, artefact, make)
    request[KERNEL_OF] = body.kernel
    return await request.app[ANSWERS].answer(request, body)


async def _bring(
    request: web.Request, build_id: str, artefact: str, make: Callable[[str], Awaitable[Body]]
) -> Body:
    """What the look-up brings."""
    app, metrics = request.app, request.app[METRICS]
    try:
        with metrics.failed_lookup():
            found = await app[LOOKUP].find(build_id, ask_of(request, artefact))
    except KernsymError as error:
        app[MISSES].remember(request, build_id, error)
        raise
    if isinstance(found, ComingFile):
        metrics.lookup("fetched")
        return coming_body(found, cache_control(app[CONFIG]))
    if isinstance(found, LooseFile):
        metrics.lookup("upstream")
        return await asyncio.to_thread(loose_body, found, artefact, cache_control(app[CONFIG]))
    metrics.lookup("fetched")
    return await make(build_id)


def _build_id(request: web.Request) -> str:
    """The build ID of the path.  Raises `Unusable` (`build-id-invalid`)."""
    text = request.match_info["id"]
    if not _BUILD_ID.fullmatch(text):
        raise Unusable(
            "build-id-invalid",
            f"not a build ID: {text[:80]!r}",
            context=(f"it has {len(text)} characters",),
            hint="a build ID is 8 to 64 hexadecimal digits, an even number of them; "
            "`eu-readelf -n FILE` shows it",
        )
    return text.lower()


def _route(path: str, handler: Handler, *problems: str) -> Route:
    return Route(
        method="GET",
        path=f"/buildid/{{id}}/{path}",
        handler=or_on_its_way(handler),
        role=TokenRole.READ,
        answers={
            200: Media(type="application/octet-stream"),
            202: JobStatus,
            206: Media(type="application/octet-stream"),
            304: None,
            416: None,
        },
        problems=(
            "build-id-invalid",
            "not-held",
            "file-too-large",
            "precondition-failed",
            "being-fetched",
            "could-not-find-out",
            *problems,
        ),
    )


ROUTES = (
    _route("debuginfo", _debuginfo),
    _route("executable", _executable, "executable-missing"),
    _route("section/{name:.+}", _section, "section-missing"),
    _route("source/{name:.+}", _source, "source-missing", "path-outside"),
)
