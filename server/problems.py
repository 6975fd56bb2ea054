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
    "token-invalid": 401,
    "role-missing": 403,
    "writes-off": 403,
    "too-many-requests": 429,
    "body-invalid": 400,
    "nothing-watched": 400,
    "no-such-series": 400,
    "build-id-alone": 409,
    "query-invalid": 400,
    "build-id-invalid": 400,
    "request-entity-too-large": 413,
    "upload-too-large": 413,
    "upload-cut": 400,
    "upload-damaged": 422,
    "upload-odd": 400,
    "kbundle-damaged": 422,
    "kbundle-unsafe": 422,
    "module-mismatch": 422,
    "body-not-json": 415,
    "distribution-held": 409,
    "job-over": 409,
    "job-shared": 409,
    "pinned": 409,
    "not-held": 404,
    "no-such-job": 404,
    "section-missing": 404,
    "source-missing": 404,
    "executable-missing": 404,
    "being-fetched": 503,
    "path-outside": 403,
    "file-too-large": 406,
    "precondition-failed": 412,
    "vmlinux-mismatch": 409,
    "body-too-slow": 408,
    "not-ready": 503,
    "fetcher-away": 503,
    "no-limits": 400,
    "no-space": 507,
    "store-unwritable": 507,
    "disk-full": 507,
}
# What a client is asked for (RFC 6750, 3).
_CHALLENGES = {
    "token-required": 'Bearer realm="kernsym"',
    "token-invalid": 'Bearer realm="kernsym", error="invalid_token"',
    "role-missing": 'Bearer realm="kernsym", error="insufficient_scope"',
}


def status_of(code: str, kind: str = "fault") -> int:
    """The status of an error by its code, else by its kind."""
    return _STATUS_OF_CODE.get(code, _STATUS_OF_KIND.get(kind, 500))


_CLIENT_GONE = 499  # nobody reads it; the log shows it, as nginx's does


def problem_of(error: KernsymError) -> Problem:
    """The problem document for an error."""
    status = status_of(error.code, error.kind)
    return Problem(
        title=error.message,
        status=status,
        code=error.code,
        kind=error.kind,
        context=error.context,
        hint=error.hint,
        retry_after=getattr(error, "retry_after", None),
    )


def problem_response(problem: Problem) -> web.Response:
    """The answer that carries a problem.  Nothing remembers it for long."""
    headers = {"Cache-Control": "no-store" if problem.status != 404 else "max-age=60"}
    if problem.code in _CHALLENGES:
        headers["WWW-Authenticate"] = _CHALLENGES[problem.code]
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
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
    except Exception as error:
        if isinstance(error, web.HTTPException) and error.status < 400:
            raise
        if request.transport is None or request.writer.output_size:
            return _cut_off(request, error)
        answer = problem_response(_problem_of_any(request, error))
        if isinstance(error, web.HTTPMethodNotAllowed):
            answer.headers["Allow"] = ", ".join(sorted(error.allowed_methods))
        return answer


def _problem_of_any(request: web.Request, error: Exception) -> Problem:
    if isinstance(error, KernsymError):
        return problem_of(error)
    if isinstance(error, web.HTTPException):
        code = error.reason.lower().replace(" ", "-")
        return Problem(title=error.reason, status=error.status, code=code, kind="unusable")
    log.error("%s %s", request.method, request.path, exc_info=error)
    return problem_of(KernsymError("fault", "a fault of the server"))


def _cut_off(request: web.Request, error: Exception) -> web.Response:
    """End an answer that has begun: nothing else can follow, and its reader must see it cut."""
    if request.transport is not None:
        log.warning("%s %s was cut off: %r", request.method, request.path, error)
        request.transport.abort()
    return web.Response(status=_CLIENT_GONE)
