"""What is no proper HTTP is answered with a problem document too, and costs a line of the log."""

from __future__ import annotations

import logging
from http import HTTPStatus

from aiohttp import web

from kernsym.cache.messages import Problem
from kernsym.server.problems import problem_response

log = logging.getLogger(__name__)


class RequestHandler(web.RequestHandler):
    """aiohttp's handler of a connection, but for what it says of requests that it cannot read."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what the parser refuses.  Faults of ours stay as aiohttp has them."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or request.writer.output_size:
            return super().handle_error(request, status, exc, message)
        log.info("%s sent no proper request: %s", request.remote, type(exc).__name__)
        title = " ".join((message or "it is no proper HTTP").split())
        answer = problem_response(
            Problem(title=title, status=status, code="bad-request", kind="unusable")
        )
        answer.force_close()
        return answer
