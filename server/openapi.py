"""The API's description, OpenAPI 3.1, from the declarations that also serve it."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from kernsym.cache.messages import Problem
from kernsym.cache.tokens import TokenRole
from kernsym.server.keys import CONFIG
from kernsym.server.problems import status_of
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Body, Media, Query, Route, Upload

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::[^{}]+)?\}")

# What is checked beyond what the types say: `Fingerprint.__post_init__`.
_PATTERNS = {("Fingerprint", "build_id"): "^[0-9a-f]{8,64}$"}

# What an answer of this status always has.
_HEADERS = {"202": "Location", "401": "WWW-Authenticate", "429": "Retry-After"}

# Problems that a kind of route has, whatever it does.
_OF_ALL = ("token-invalid", "token-required", "too-many-requests")
_OF_ROLES = ("role-missing", "writes-off")
_OF_BODIES = ("body-invalid", "body-not-json", "request-entity-too-large")
_OF_QUERIES = ("query-invalid",)


def with_description(routes: Iterable[Route]) -> tuple[Route, ...]:
    """The routes, and one more, which describes them all."""

    async def openapi(request: web.Request) -> web.StreamResponse:
        """Describe the API: this document."""
        return json_answer(describe(every, open_reads=not request.app[CONFIG].token_for_reads))

    every = (
        *routes,
        Route(
            method="GET",
            path="/openapi.json",
            handler=openapi,
            role=None,
            answers={200: Media(type="application/json")},
        ),
    )
    return every


def describe(routes: Iterable[Route], *, open_reads: bool) -> dict[str, Any]:
    """The document; `open_reads`: to read needs no token."""
    routes = tuple(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(_PARAMETER.sub(r"{\1}", route.path), {})[route.method.lower()] = (
            _operation(route, open_reads)
        )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kernsym",
            "version": version("kernsym"),
            "description": "Finds, checks and serves the debug symbols of Linux kernels.",
        },
        "paths": paths,
        "components": {
            "schemas": _schemas(routes),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "From `kernsym token new`, with a role: "
                    + ", ".join(role.value for role in TokenRole),
                }
            },
        },
    }


def _operation(route: Route, open_reads: bool) -> dict[str, Any]:
    handler = route.handler
    handle = handler.handle if isinstance(handler, Body | Query | Upload) else handler
    summary, _, more = (inspect.getdoc(handle) or "").partition("\n\n")
    found: dict[str, Any] = {
        "operationId": handle.__name__.strip("_"),
        "summary": " ".join(summary.split()),
        "parameters": [*_path_parameters(route.path), *_query_parameters(handler)],
        "responses": _responses(route),
    }
    if more:
        found["description"] = " ".join(more.split())
    if route.role is not None:
        free: list[dict[str, list[str]]] = [{}]
        found["security"] = [
            *(free if route.role is TokenRole.READ and open_reads else ()),
            {"token": [route.role.value]},
        ]
    content: dict[str, Any] = {}
    if isinstance(handler, Body):
        content = {"application/json": {"schema": _schema(handler.kind)}}
    if isinstance(handler, Upload):
        content = {handler.media.type: {"schema": {}}}
    if content:
        found["requestBody"] = {"required": True, "content": content}
    return found


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, answer in route.answers.items():
        found[str(status)] = {"description": "as asked"}
        if isinstance(answer, Media):
            found[str(status)]["content"] = {answer.type: {"schema": {}}}
        elif answer is not None:
            content = {"application/json": {"schema": _schema(answer)}}
            found[str(status)]["content"] = content
    codes: dict[str, list[str]] = {"5XX": ["fault"]}
    for code in _problems(route):
        number = status_of(code, kind=code)  # some are kinds
        codes.setdefault("5XX" if number >= 500 else str(number), []).append(code)
    for which in sorted(codes):
        found[which] = {
            "description": ", ".join(codes[which]),
            "content": {"application/problem+json": {"schema": _schema(Problem)}},
        }
    for which, header in _HEADERS.items():
        if which in found:
            found[which]["headers"] = {header: {"required": True, "schema": {"type": "string"}}}
    return found


def _problems(route: Route) -> Iterable[str]:
    """Each code once."""
    words = list(route.problems)
    if route.role is not None:
        words += _OF_ALL
    if route.role not in (None, TokenRole.READ):
        words += _OF_ROLES
    if isinstance(route.handler, Body):
        words += _OF_BODIES
    if isinstance(route.handler, Query):
        words += _OF_QUERIES
    return dict.fromkeys(words)


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in _PARAMETER.findall(path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(handler: object) -> Iterable[dict[str, Any]]:
    if not isinstance(handler, Query):
        return
    _, components = msgspec.json.schema_components([handler.kind], ref_template=_REFERENCE)
    properties: Mapping[str, Any] = components[handler.kind.__name__]["properties"]
    for field in dataclasses.fields(handler.kind):
        yield {
            "name": field.name,
            "in": "query",
            "required": field.default is dataclasses.MISSING,
            "schema": _without_null(properties[field.name]),
        }


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A query cannot say null: it leaves the parameter out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return dict(kinds[0]) if len(kinds) == 1 else dict(schema)


def _schema(kind: type) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(name=kind.__name__)}


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    kinds: dict[type, None] = {Problem: None}
    for route in routes:
        if isinstance(route.handler, Body):
            kinds[route.handler.kind] = None
        for answer in route.answers.values():
            if isinstance(answer, type):
                kinds[answer] = None
    _, components = msgspec.json.schema_components(kinds, ref_template=_REFERENCE)
    for schema in components.values():
        if "description" in schema:
            schema["description"] = inspect.cleandoc(schema["description"])
    for (kind, field), pattern in _PATTERNS.items():
        for schema in components[kind]["properties"][field]["anyOf"]:
            if schema["type"] == "string":
                schema["pattern"] = pattern
    return components
