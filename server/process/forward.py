"""What a worker cannot answer from the store goes whole to the fetcher, and its answer back.

The fetcher is the one process that has jobs, talks to mirrors and changes the store; it listens on
a Unix socket that only this server's processes reach.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from kernsym.distros import CouldNotFindOut, KernsymError
from kernsym.server.routes.bodies import read_body
from kernsym.server.watch.request_log import REQUEST_ID_HEADER, request_id

log = logging.getLogger(__name__)

FETCHER = web.AppKey("fetcher", aiohttp.ClientSession)

_HERE = ("/buildid/", "/api/v1/kernels", "/healthz")
_READING = ("GET", "HEAD")
_UPLOADS = ("/api/v1/bundles", "/api/v1/kernels")  # too large to be held: sent on while they come
_FINAL = ("could-not-find-out", "unusable")  # kinds of errors that the fetcher would repeat
_ATTEMPTS = 2
_OF_A_CONNECTION = frozenset(
    ("connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade")
)
_CONNECT_SECONDS = 30.0  # while the fetcher is started again, connections wait for it


def forward_to(app: web.Application, path: Path) -> None:
    """Make the application a worker whose fetcher listens at `path`."""

    async def connect(app: web.Application) -> AsyncIterator[None]:
        async with aiohttp.ClientSession(
            # A connection for each request: one that is kept would die with the fetcher.
            connector=aiohttp.UnixConnector(str(path), limit=0, force_close=True),
            auto_decompress=False,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
        ) as session:
            app[FETCHER] = session
            yield

    app.cleanup_ctx.append(connect)
    app.middlewares.append(_here_or_there)


@web.middleware
async def _here_or_there(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if request.method in _READING and request.path.startswith(_HERE):
        try:
            return await handler(request)
        except KernsymError as error:
            if error.kind in _FINAL:
                raise
    return await _forward(request)


async def _forward(request: web.Request) -> web.StreamResponse:
    """The fetcher's answer to a request; asked for again when the fetcher ends before it answers
    what can be repeated.  Once it has begun, a connection that is cut is cut here too."""
    upload = request.path in _UPLOADS
    body = await read_body(request) if request.can_read_body and not upload else None
    for _ in range(_ATTEMPTS):
        try:
            async with request.app[FETCHER].request(
                request.method,
                URL(f"http://fetcher{request.rel_url.raw_path_qs}", encoded=True),
                headers=_asking(request),
                data=request.content if upload else body,
                allow_redirects=False,
            ) as answer:
                return await _pass_on(request, answer)
        except aiohttp.ClientConnectionError as error:
            log.warning("the fetcher did not answer: %r", error)
            if request.transport is None or request.writer.output_size:
                raise
            if not _may_repeat(request):
                break
    raise CouldNotFindOut(
        "fetcher-away",
        "the process that brings kernels here is being started again",
        hint="try again in some seconds",
    )


def _may_repeat(request: web.Request) -> bool:
    """Whether asking twice is like asking once: who wants what somebody wants joins their job."""
    return request.method in _READING or request.path == "/api/v1/symbols"


async def _pass_on(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(
        status=answer.status, reason=answer.reason, headers=_without_connection(answer.headers)
    )
    response.content_length = answer.content_length
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in answer.content.iter_any():
            await response.write(piece)
    await response.write_eof()
    return response


def _asking(request: web.Request) -> CIMultiDict[str]:
    headers = _without_connection(request.headers)
    headers[REQUEST_ID_HEADER] = request_id(request)
    way = [*request.headers.getall("X-Forwarded-For", ()), *filter(None, (request.remote,))]
    if way:
        headers["X-Forwarded-For"] = ", ".join(way)
    return headers


def _without_connection(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION
    )
