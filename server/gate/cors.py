"""Which web pages may read this server's answers in a browser; by default those of none."""

from __future__ import annotations

from aiohttp import web
from aiohttp.typedefs import Handler

_EXPOSED = ", ".join(
    (
        "Accept-Ranges",
        "Content-Encoding",
        "Content-Range",
        "ETag",
        "X-DEBUGINFOD-ARCHIVE",
        "X-KERNSYM-UNCHECKED",
        "X-DEBUGINFOD-FILE",
        "X-DEBUGINFOD-SIZE",
    )
)
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, DELETE",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, If-None-Match, "
    "If-Range, Last-Event-ID, Range, X-DEBUGINFOD-MAXSIZE",
    "Access-Control-Max-Age": "86400",
}


def add_cors(app: web.Application, origins: tuple[str, ...]) -> None:
    """Let pages of these origins (`https://HOST`, or "*" for all) read what this server answers."""

    async def allow(request: web.Request, response: web.StreamResponse) -> None:
        origin = request.headers.get("Origin")
        if "*" in origins:
            response.headers["Access-Control-Allow-Origin"] = "*"
        else:
            vary = response.headers.get("Vary")
            response.headers["Vary"] = f"{vary}, Origin" if vary else "Origin"
            if origin not in origins:
                return
            response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED

    @web.middleware
    async def answer_preflight(request: web.Request, handler: Handler) -> web.StreamResponse:
        """What a browser asks before it asks, without showing who it is."""
        if request.method == "OPTIONS":
            return web.Response(status=204, headers=_PREFLIGHT)
        return await handler(request)

    if origins:
        app.on_response_prepare.append(allow)
        app.middlewares.insert(0, answer_preflight)
