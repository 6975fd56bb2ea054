"""`/api/v1/jobs`: what is being brought, what was, and how it goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from kernsym.cache.messages import Event, JobList, JobState, JobStatus
from kernsym.cache.tokens import TokenRole
from kernsym.distros import KernsymError
from kernsym.server.gate.access import requester_of
from kernsym.server.jobs import Job
from kernsym.server.keys import JOBS
from kernsym.server.routes.answers import json_answer
from kernsym.server.routes.pagination import link_to_next, page_of, read_cursor
from kernsym.server.routes.route import Media, Query, Route

_HEARTBEAT_SECONDS = 15.0
_NOT_KEPT = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobsQuery:
    state: JobState | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 100
    cursor: str | None = None


async def _jobs(request: web.Request, query: JobsQuery) -> web.Response:
    """List jobs, the newest first: those that wait and run, and those that ended in the last 30
    days."""
    before = read_cursor(query.cursor, _place)
    jobs = sorted(request.app[JOBS].jobs(), key=_place_of, reverse=True)
    page, more = page_of(
        (
            job
            for job in jobs
            if query.state in (None, job.state) and (before is None or _place_of(job) < before)
        ),
        query.limit,
    )
    headers = link_to_next(request, "/".join(map(str, _place_of(page[-1])))) if more else {}
    answer = JobList(jobs=tuple(job.status() for job in page))
    return json_answer(answer, headers=headers | _NOT_KEPT)


def _place_of(job: Job) -> tuple[float, str]:
    return job.created.timestamp(), job.id


def _place(text: str) -> tuple[float, str]:
    created, _, job_id = text.partition("/")
    return float(created), job_id


async def _job(request: web.Request) -> web.Response:
    """Show a job as it is now."""
    return json_answer(_find(request).status(), headers=_NOT_KEPT)


async def _cancel(request: web.Request) -> web.Response:
    """End a job; its download can be resumed.

    The role fetch is enough for a job that nobody else has asked for.
    """
    job, asks = _find(request), requester_of(request)
    if job.over:
        raise KernsymError("job-over", f"the job {job.id} has ended already")
    alone = job.asked_by <= {asks.name}
    if not alone and asks.role is not TokenRole.ADMIN:
        raise KernsymError(
            "job-shared",
            "others wait for this job too",
            hint="a token with the role admin can cancel it",
        )
    await request.app[JOBS].cancel(job, asks.name)
    return json_answer(job.status(), headers=_NOT_KEPT)


async def _events(request: web.Request) -> web.StreamResponse:
    """Follow a job: its events as server-sent events, those after Last-Event-ID, to the last.

    A stream that ends without a last event is to be asked for again.
    """
    job = _find(request)
    after = request.headers.get("Last-Event-ID", "0")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", **_NOT_KEPT})
    await response.prepare(request)
    try:
        async for piece in _pieces(job, int(after) if after.isdecimal() else 0):
            await response.write(piece)
    except ConnectionError:
        pass  # the reader has gone; the job goes on
    return response


async def _pieces(job: Job, after: int) -> AsyncIterator[bytes]:
    """The events as they are sent, and a comment where there is none for a while."""
    events = job.follow(after)
    pending = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=_HEARTBEAT_SECONDS)
            if not done:
                yield b": still at it\n\n"
                continue
            event = pending.result()
            if event is None:
                return
            yield _as_sse(event)
            pending = asyncio.ensure_future(anext(events, None))
    finally:
        pending.cancel()


def _as_sse(event: Event) -> bytes:
    data = msgspec.json.encode(event)
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.id, event.kind.value.encode(), data)


def _find(request: web.Request) -> Job:
    job = request.app[JOBS].get(request.match_info["id"])
    if job is None:
        raise KernsymError("no-such-job", "there is no such job, or it ended long ago")
    return job


_JOB = "/api/v1/jobs/{id}"

ROUTES = (
    Route(
        method="GET",
        path="/api/v1/jobs",
        handler=Query(JobsQuery, _jobs),
        role=TokenRole.READ,
        answers={200: JobList},
    ),
    Route(
        method="GET",
        path=_JOB,
        handler=_job,
        role=TokenRole.READ,
        answers={200: JobStatus},
        problems=("no-such-job",),
    ),
    Route(
        method="DELETE",
        path=_JOB,
        handler=_cancel,
        role=TokenRole.FETCH,
        answers={200: JobStatus},
        problems=("no-such-job", "job-over", "job-shared"),
    ),
    Route(
        method="GET",
        path=f"{_JOB}/events",
        handler=_events,
        role=TokenRole.READ,
        answers={200: Media(type="text/event-stream")},
        problems=("no-such-job",),
    ),
)
