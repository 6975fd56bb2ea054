"""Misses that were answered a moment ago, for the storm of questions that a debugger asks: for each
library of a process, one artefact after the other, of which most servers hold none."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, replace

from aiohttp import web

from kernsym.cache import Store
from kernsym.distros import KernsymError
from kernsym.server.problems import problem_of, problem_response

_SECONDS = 10.0  # far less than those downstream are told that they may keep it
_MOST = 10_000
_NOTE = "answer of a few seconds ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Miss:
    until: float
    build_id: str
    problem: web.Response


class Misses:
    """The answers to the last questions for unknown build IDs.

    Questions that come from another server are neither kept nor answered: whom we would ask for
    them depends on the way that they came.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: OrderedDict[str, _Miss] = OrderedDict()

    def answer(self, request: web.Request) -> web.Response | None:
        """The same answer once more, unless a file of that build ID was published meanwhile."""
        miss = self._known.get(request.path)
        if miss is None or "X-Forwarded-For" in request.headers:
            return None
        if miss.until < time.monotonic() or self._store.has_link(miss.build_id):
            del self._known[request.path]
            return None
        known = miss.problem
        return web.Response(status=known.status, body=known.body, headers=known.headers)

    def remember(self, request: web.Request, build_id: str, error: KernsymError) -> None:
        """Keep the answer to a request, if it is that nobody has a file of this build ID."""
        if error.code != "not-held" or "X-Forwarded-For" in request.headers:
            return
        problem = problem_of(error)
        self._known[request.path] = _Miss(
            until=time.monotonic() + _SECONDS,
            build_id=build_id,
            problem=problem_response(replace(problem, context=(*problem.context, _NOTE))),
        )
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
