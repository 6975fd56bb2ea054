"""JSON answers, the same for every route."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web


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
