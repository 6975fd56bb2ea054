"""Errors as HTTP answers, in one table: the only file that knows a status (RFC 9457)."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from kernsym.cache.messages import Problem
from kernsym.distros import KernsymError

log = logging.getLogger(__name__)

_STATUS_OF_KIND = {
    "fault": 500,
    "not-identified": 422,
    "not-published": 404,
    "could-not-find-out": 502,
    "refused": 502,
    "unusable": 400,
}
# Codes whose status says more than that of their kind.
_STATUS_OF_CODE = {
    "token-required": 401,
    "not-held": 404,
    "no-such-job": 404,
    "section-missing": 404,
    "source-missing": 404,
    "executable-missing": 404,
    "path-outside": 403,
    "file-too-large": 406,
    "precondition-failed": 412,
    "vmlinux-mismatch": 409,
    "not-ready": 503,
    "no-space": 507,
    "disk-full": 507,
}

_CLIENT_GONE = 499  # nobody reads it; the log shows it, as nginx's does


def problem_of(error: KernsymError) -> Problem:
    """The problem document for an error."""
    status = _STATUS_OF_CODE.get(error.code, _STATUS_OF_KIND.get(error.kind, 500))
    return Problem(
        title=error.message,
        status=status,
        code=error.code,
        kind=error.kind,
        context=error.context,
        hint=error.hint,
    )


def problem_response(problem: Problem) -> web.Response:
    """The answer that carries a problem.  Nothing remembers it for long."""
    headers = {"Cache-Control": "no-store" if problem.status != 404 else "max-age=60"}
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(
        status=problem.status,
        body=msgspec.json.encode(problem),
        content_type="application/problem+json",
        headers=headers,
    )


@web.middleware
async def problems_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Turn every error into a problem document; a fault of ours is logged with its traceback."""
    try:
        return await handler(request)
    except KernsymError as error:
        return problem_response(problem_of(error))
    except web.HTTPException as error:
        if error.status < 400:
            raise
        code = error.reason.lower().replace(" ", "-")
        return problem_response(
            Problem(title=error.reason, status=error.status, code=code, kind="unusable")
        )
    except Exception:
        if request.transport is None:
            return web.Response(status=_CLIENT_GONE)
        log.exception("%s %s", request.method, request.path)
        return problem_response(problem_of(KernsymError("fault", "a fault of the server")))
