"""Reading bodies and writing JSON answers, the same for every route."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from aiohttp import web

from kernsym.distros import Unusable

T = TypeVar("T")


async def read_body(request: web.Request, kind: type[T]) -> T:
    """The body as a value of `kind`.  Raises `Unusable` (`body-invalid`)."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, ValueError) as error:
        raise Unusable("body-invalid", f"the body is not as it should be: {error}") from error


def json_answer(
    value: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A value of one of our types as JSON."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(value),
        content_type="application/json",
        headers=headers,
    )
