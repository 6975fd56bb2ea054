"""`/api/v1/resolve`, `published` and `preseed`: what could be brought, and to have many brought."""

from __future__ import annotations

from aiohttp import web

from kernsym.cache import Bundle
from kernsym.cache.messages import Priority, SymbolsRequest
from kernsym.cache.planning import (
    PreseedAnswer,
    PreseedList,
    PreseedRequest,
    PublishedList,
    PublishedRequest,
    Resolution,
    ResolveRequest,
)
from kernsym.cache.tokens import TokenRole
from kernsym.distros import KernsymError
from kernsym.server.keys import PLANS
from kernsym.server.problems import problem_of
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.route import Body, Route
from kernsym.server.routes.symbols import held_or_job

_OUTCOMES = ("not-identified", "not-published", "could-not-find-out", "refused")


async def _resolve(request: web.Request, wanted: ResolveRequest) -> web.Response:
    """Say which packages would be fetched for a fingerprint, without fetching them.

    Their sizes, digests and signers are as the lists of the sources have them.
    """
    return json_answer(await request.app[PLANS].resolve(wanted))


async def _published(request: web.Request, wanted: PublishedRequest) -> web.Response:
    """List the kernels of a series whose debug packages the sources publish, newest first."""
    return json_answer(await request.app[PLANS].published(wanted))


async def _preseed(request: web.Request, wanted: PreseedRequest) -> web.Response:
    """Have many kernels brought in the background; for each what is held, its job, or why not.

    Asked again it starts nothing twice.
    """
    answers = []
    for fingerprint in wanted.fingerprints:
        one = SymbolsRequest(
            fingerprint=fingerprint,
            modules=wanted.modules,
            all_modules=wanted.all_modules,
            priority=Priority.BACKGROUND,
        )
        try:
            found = await held_or_job(request, one)
        except KernsymError as error:
            answers.append(PreseedAnswer(problem=problem_of(error)))
            continue
        held = found.kernel if isinstance(found, Bundle) else None
        job = None if isinstance(found, Bundle) else found.status()
        answers.append(PreseedAnswer(held=held, job=job))
    return json_answer(PreseedList(answers=tuple(answers)))


ROUTES = (
    Route(
        method="POST",
        path="/api/v1/resolve",
        handler=Body(ResolveRequest, _resolve),
        role=TokenRole.FETCH,
        answers={200: Resolution},
        problems=(*_OUTCOMES, "vmlinux-mismatch", "build-id-alone"),
    ),
    Route(
        method="POST",
        path="/api/v1/published",
        handler=Body(PublishedRequest, _published),
        role=TokenRole.FETCH,
        answers={200: PublishedList},
        problems=(*_OUTCOMES, "no-such-series"),
    ),
    Route(
        method="POST",
        path="/api/v1/preseed",
        handler=Body(PreseedRequest, _preseed),
        role=TokenRole.FETCH,
        answers={200: PreseedList},
    ),
)
