"""Who may do what: reads are open unless configured otherwise, writes need the token."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable

from aiohttp import web

from kernsym.distros import KernsymError
from kernsym.server.keys import CONFIG

_OPEN_TO_ALL = ("/healthz", "/readyz")


def require_token(request: web.Request) -> None:
    """Raises `token-required` unless the request shows the server's token as a bearer."""
    token = request.app[CONFIG].token
    shown = request.headers.get("Authorization", "").removeprefix("Bearer ").strip()
    if token is None or not hmac.compare_digest(shown.encode(), token.encode()):
        raise KernsymError(
            "token-required",
            "this needs the server's token",
            hint="set KERNSYM_TOKEN to the token that the server was started with"
            if token
            else "the server was started without a token and only serves what it holds",
        )


@web.middleware
async def access_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Ask for the token on every request where the configuration says so."""
    if request.app[CONFIG].token_for_reads and request.path not in _OPEN_TO_ALL:
        require_token(request)
    return await handler(request)
