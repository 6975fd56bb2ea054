"""Jobs: one per kernel and part, followed from any point, ended once."""

from __future__ import annotations

import asyncio

import pytest

from kernsym.cache.messages import Event, EventKind, JobState, Part
from kernsym.distros import Fingerprint, Kernel, NotPublished
from kernsym.server.jobs import Job, JobBoard

KERNEL = Kernel(
    distro="debian",
    release="12",
    arch="x86_64",
    uname="6.1.0-1-amd64",
    flavour="amd64",
    version="6.1.7-1",
)


async def _events(job: Job, after: int = 0) -> list[Event]:
    return [event async for event in job.follow(after)]


async def test_followers_see_everything_in_order_whenever_they_come() -> None:
    board = JobBoard()
    go_on = asyncio.Event()

    async def work(job: Job) -> None:
        job.stage("resolve", "found")
        await go_on.wait()
        await asyncio.to_thread(job.stage, "unpack", "from a thread")

    job = board.start(KERNEL, Part.SYMBOLS, Fingerprint(), work)
    assert board.running(KERNEL, Part.SYMBOLS) is job
    assert board.running(KERNEL, Part.SOURCES) is None
    early = asyncio.create_task(_events(job))
    await asyncio.sleep(0.01)
    go_on.set()
    seen = await early
    assert [event.text for event in seen] == ["found", "from a thread", ""]
    assert [event.id for event in seen] == [1, 2, 3]
    assert seen[-1].kind is EventKind.DONE and job.state is JobState.DONE
    assert await _events(job) == seen
    assert await _events(job, after=2) == seen[2:]
    assert board.running(KERNEL, Part.SYMBOLS) is None
    assert board.get(job.id) is job


async def test_a_failed_job_ends_with_its_problem() -> None:
    async def work(job: Job) -> None:
        raise NotPublished("not-published", "nobody has it", context=("a: no",), hint="look")

    job = JobBoard().start(KERNEL, Part.SYMBOLS, Fingerprint(), work)
    last = (await _events(job))[-1]
    assert last.kind is EventKind.FAILED and last.problem is not None
    again = last.problem.as_error()
    assert isinstance(again, NotPublished)
    assert (again.code, again.context, again.hint) == ("not-published", ("a: no",), "look")


async def test_a_fault_of_ours_is_a_problem_too(caplog: pytest.LogCaptureFixture) -> None:
    async def work(job: Job) -> None:
        raise ZeroDivisionError("oops")

    job = JobBoard().start(KERNEL, Part.SYMBOLS, Fingerprint(), work)
    last = (await _events(job))[-1]
    assert last.problem is not None and last.problem.code == "fault"
    assert "ZeroDivisionError" in caplog.text


async def test_progress_does_not_pile_up() -> None:
    async def work(job: Job) -> None:
        for done in range(1000):
            job.progress("download", done, 1000)
        job.progress("download", 1000, 1000)

    job = JobBoard().start(KERNEL, Part.SYMBOLS, Fingerprint(), work)
    progress = [event for event in await _events(job) if event.kind is EventKind.PROGRESS]
    assert len(progress) <= 2
    assert (await _events(job))[-2].done == 1000


async def test_a_closed_board_ends_what_runs() -> None:
    board = JobBoard()

    async def work(job: Job) -> None:
        await asyncio.sleep(60)

    job = board.start(KERNEL, Part.SYMBOLS, Fingerprint(), work)
    await asyncio.sleep(0)
    await board.close()
    last = (await _events(job))[-1]
    assert last.problem is not None and last.problem.code == "interrupted"
    assert job.wanted.closed
