"""A route as one declaration: it is served, guarded and documented from the same value."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web

from kernsym.cache.tokens import TokenRole
from kernsym.distros import Unusable
from kernsym.server.gate.access import OPEN_PATHS, require
from kernsym.server.routes.bodies import read_body

T = TypeVar("T")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
HandlerOf = Callable[[web.Request, T], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """An answer that is no JSON."""

    type: str


@dataclass(frozen=True, slots=True)
class Body(Generic[T]):
    """A handler that is given the JSON body of the request as a value of `kind`."""

    kind: type[T]
    handle: HandlerOf[T]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Content-Type") and request.content_type != "application/json":
            raise Unusable(
                "body-not-json",
                f"the body is {request.content_type}, not application/json",
                hint="send it with Content-Type: application/json",
            )
        try:
            body = msgspec.json.decode(await read_body(request), type=self.kind)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            raise Unusable("body-invalid", f"the body is not as it should be: {error}") from error
        return await self.handle(request, body)


@dataclass(frozen=True, slots=True)
class Upload:
    """A handler that reads the body of the request itself, while it comes."""

    media: Media
    handle: Handler

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        return await self.handle(request)


@dataclass(frozen=True, slots=True)
class Query(Generic[T]):
    """A handler that is given the parameters of the request as a value of `kind`, a dataclass."""

    kind: type[T]
    handle: HandlerOf[T]

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        known = [field.name for field in dataclasses.fields(self.kind)]  # type: ignore[arg-type]
        asked = dict(request.query)
        if not set(known) >= asked.keys() or len(asked) < len(request.query):
            raise Unusable(
                "query-invalid",
                "a parameter is not known here, or given twice",
                hint=f"known: {', '.join(known)}",
            )
        try:
            query = msgspec.convert(asked, self.kind, strict=False)
        except (msgspec.ValidationError, ValueError) as error:
            raise Unusable(
                "query-invalid", f"the parameters are not as they should be: {error}"
            ) from error
        if any(getattr(query, name) is None for name in asked):  # msgspec reads `null` so
            raise Unusable("query-invalid", "a parameter cannot be null: leave it out")
        return await self.handle(request, query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A method and a path, as aiohttp writes them.

    `role`: what a token has to allow; to read needs none unless the configuration says so.  None:
    open to all in any case.  `answers`: by status the type of the JSON, a `Media`, or None for
    nothing.  `problems`: codes or kinds of errors, beside those that the role, the body and the
    query bring with them.  The handler's docstring is the documentation.
    """

    method: str
    path: str
    handler: Handler | Body[Any] | Query[Any] | Upload
    role: TokenRole | None
    answers: Mapping[int, Any]
    problems: tuple[str, ...] = ()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.role is not None:
            require(request, self.role)
        return await self.handler(request)


def add_routes(app: web.Application, routes: Iterable[Route]) -> None:
    """Have the application answer these; a GET answers HEAD too."""
    for route in routes:
        if route.role is None:
            app[OPEN_PATHS].add(route.path)
        if route.method == "GET":
            app.router.add_get(route.path, route.serve)
        else:
            app.router.add_route(route.method, route.path, route.serve)
