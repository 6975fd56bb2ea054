"""What is noted of every request: its id, and its line in the log.

It costs a few microseconds a request, where aiohttp's own access log costs some thirty: a line is
put together by hand, and lines are written several at a time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from kernsym.server.gate.limits import CLIENT
from kernsym.server.watch.logs import REQUEST_ID, LineHandler, utc

log = logging.getLogger("request")

Observer = Callable[[web.BaseRequest, web.StreamResponse, float], None]

REQUEST_ID_HEADER = "X-Request-ID"
KERNEL_OF = web.RequestKey("kernel", str)  # the key of the kernel that a request proved to be about

_ID = web.RequestKey("id", str)
_SANE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_LINE_SECONDS = 0.2  # the longest that a line waits for others
_MOST_LINES = 500


class _Line(msgspec.Struct, omit_defaults=True):
    """A request in the log.  `path` as it was sent, without the query, which may hold secrets;
    `bytes` with the headers; `client`: the id of the token that was shown, else the address."""

    time: str
    level: str
    logger: str
    method: str
    path: str
    status: int
    bytes: int
    seconds: float
    request: str
    client: str = ""
    kernel: str = ""


class RequestLog:
    """Writes a line for every request."""

    def __init__(self, lines: LineHandler) -> None:
        self._lines = lines
        self._as_text = _as_json if lines.form == "json" else _as_text
        self._now = ("", 0)

    def __call__(self, request: web.BaseRequest, response: web.StreamResponse, took: float) -> None:
        """Note a request that was answered, `took` seconds after it began."""
        if not log.isEnabledFor(logging.INFO):
            return
        line = _Line(
            self._clock(),
            "info",
            "request",
            request.method,
            _path(request),
            response.status,
            request.writer.output_size,
            round(took, 6),
            request_id(request),
            request.get(CLIENT) or request.remote or "",
            request.get(KERNEL_OF, ""),
        )
        waiting = self._lines.later(self._as_text(line))
        if waiting == 1:
            asyncio.get_running_loop().call_later(_LINE_SECONDS, self._lines.flush)
        elif waiting >= _MOST_LINES:
            self._lines.flush()

    def _clock(self) -> str:
        """The time, put into words once a millisecond."""
        now = int(time.time() * 1000)
        if now != self._now[1]:
            self._now = (utc(now / 1000), now)
        return self._now[0]


def _as_json(line: _Line) -> str:
    return msgspec.json.encode(line).decode() + "\n"


def _as_text(line: _Line) -> str:
    client = f" client={line.client}" if line.client else ""
    kernel = f" kernel={line.kernel}" if line.kernel else ""
    return (
        f"{line.time} INFO request: {line.method} {line.path} {line.status} {line.bytes} bytes"
        f" {line.seconds:.6f} s request={line.request}{client}{kernel}\n"
    )


def _path(request: web.BaseRequest) -> str:
    path = request.raw_path.partition("?")[0]
    return path if path.isascii() else ascii(path)[1:-1]


def request_id(request: web.BaseRequest) -> str:
    name: str = request.get(_ID, "")
    return name


def observing(*observers: Observer) -> type[AbstractAccessLogger]:
    """The class that aiohttp wants for its access log; it tells the observers of each request."""

    class Observing(AbstractAccessLogger):
        def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
            for observe in observers:
                observe(request, response, time)

    return Observing


def add_request_ids(app: web.Application) -> None:
    """Give every request an id: the one that it brings if that is sane, else a new one.  It is
    answered back, and lines logged on its behalf carry it."""
    count = itertools.count(1)
    prefix = secrets.token_hex(4)

    @web.middleware
    async def take_or_make(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID_HEADER)
        name = given if given and _SANE_ID.fullmatch(given) else f"{prefix}-{next(count)}"
        request[_ID] = name
        REQUEST_ID.set(name)
        return await handler(request)

    async def answer_back(request: web.Request, response: web.StreamResponse) -> None:
        response.headers[REQUEST_ID_HEADER] = request[_ID]

    app.middlewares.insert(0, take_or_make)
    app.on_response_prepare.append(answer_back)
