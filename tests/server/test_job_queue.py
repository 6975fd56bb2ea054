"""Whose turn it is: limits, people before the background, and jobs that are cancelled."""

from __future__ import annotations

import asyncio

import pytest

from kernsym.cache.messages import EventKind, JobState, Part, Priority
from kernsym.distros import CouldNotFindOut, Fingerprint
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.threads import in_thread
from tests.server.working import Gate, events, kernel, until

BACKGROUND = Priority.BACKGROUND


async def test_no_more_run_at_once_than_are_allowed() -> None:
    board, gate = JobBoard(max_jobs=2), Gate()
    jobs = [gate.start(board, number) for number in range(5)]
    await until(lambda: len(gate.begun) == 2)
    await asyncio.sleep(0.01)
    assert gate.begun == [job.id for job in jobs[:2]]
    assert [job.state for job in jobs] == [JobState.RUNNING] * 2 + [JobState.QUEUED] * 3
    assert [job.status().ahead for job in jobs] == [None, None, 0, 1, 2]
    gate.open()
    for job in jobs:
        assert (await events(job))[-1].kind is EventKind.DONE
    assert gate.begun == [job.id for job in jobs]


async def test_more_may_be_allowed_while_jobs_wait() -> None:
    board, gate = JobBoard(max_jobs=1), Gate()
    jobs = [gate.start(board, number) for number in range(3)]
    await until(lambda: gate.begun)
    board.allow(3)
    await until(lambda: len(gate.begun) == 3)
    gate.open()
    for job in jobs:
        await events(job)


async def test_a_job_in_the_queue_says_how_many_are_ahead() -> None:
    board, gate = JobBoard(max_jobs=1), Gate()
    jobs = [gate.start(board, number) for number in range(3)]
    await until(lambda: gate.begun)
    told = [event.text for event in jobs[2]._events]
    assert told == ["1 job is ahead of it"]
    await board.cancel(jobs[1], "somebody")
    await asyncio.sleep(0)
    assert [event.text for event in jobs[2]._events] == ["it is the next"]
    gate.open()
    await events(jobs[2])


async def test_a_person_has_a_turn_before_the_background() -> None:
    board, gate = JobBoard(max_jobs=1), Gate()
    first = gate.start(board, 0)
    quiet = gate.start(board, 1, BACKGROUND)
    person = gate.start(board, 2)
    assert (person.status().ahead, quiet.status().ahead) == (0, 1)
    gate.open()
    await events(quiet)
    assert gate.begun == [first.id, person.id, quiet.id]


async def test_the_background_leaves_a_place_for_people() -> None:
    board, gate = JobBoard(max_jobs=3), Gate()
    quiet = [gate.start(board, number, BACKGROUND) for number in range(4)]
    await until(lambda: len(gate.begun) == 2)
    person = gate.start(board, 9)
    await until(lambda: len(gate.begun) == 3)
    assert gate.begun == [quiet[0].id, quiet[1].id, person.id]
    gate.open()
    for job in quiet:
        await events(job)


async def test_what_a_person_waits_for_is_hurried() -> None:
    board, gate = JobBoard(max_jobs=1), Gate()
    gate.start(board, 0)
    quiet = [gate.start(board, number, BACKGROUND) for number in (1, 2)]
    board.hurry(quiet[1])
    assert quiet[1].priority is Priority.PERSON
    assert [job.status().ahead for job in quiet] == [1, 0]
    gate.open()
    await events(quiet[0])
    assert gate.begun[1:] == [quiet[1].id, quiet[0].id]


@pytest.mark.parametrize("place", [0, 1], ids=["running", "queued"])
async def test_a_cancelled_job_says_by_whom(place: int) -> None:
    board, gate = JobBoard(max_jobs=1), Gate()
    jobs = [gate.start(board, number) for number in range(2)]
    job = jobs[place]
    await until(lambda: gate.begun)
    await board.cancel(job, "t1")
    last = (await events(job))[-1]
    assert last.kind is EventKind.CANCELLED and job.state is JobState.CANCELLED
    assert last.problem is not None and "cancelled by t1" in last.problem.title
    assert isinstance(last.problem.as_error(), CouldNotFindOut)
    assert board.running(job.kernel, Part.SYMBOLS) is None
    await board.cancel(job, "t2")  # it is over
    assert (await events(job))[-1] == last
    gate.open()
    assert (await events(jobs[1 - place]))[-1].kind is EventKind.DONE


async def test_a_job_that_is_cancelled_before_its_first_step_ends_too() -> None:
    board, gate = JobBoard(), Gate()
    job = gate.start(board, 1)
    await board.cancel(job, "t1")
    assert (await events(job))[-1].kind is EventKind.CANCELLED
    assert gate.begun == []


async def test_who_asks_for_what_is_being_cancelled_gets_a_new_job() -> None:
    board, gate = JobBoard(), Gate()
    let_go = asyncio.Event()

    async def stubborn(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await let_go.wait()

    old = board.start(kernel(1), Part.SYMBOLS, Fingerprint(), stubborn)
    await asyncio.sleep(0)
    ending = asyncio.create_task(board.cancel(old, "t1"))
    await asyncio.sleep(0)
    assert board.running(kernel(1), Part.SYMBOLS) is None
    new = gate.start(board, 1)
    let_go.set()
    await ending
    assert board.running(kernel(1), Part.SYMBOLS) is new
    gate.open()
    assert (await events(new))[-1].kind is EventKind.DONE


async def test_the_thread_of_a_cancelled_job_has_ended_when_it_has() -> None:
    """Else it would write on beside the next job on the same kernel."""
    board = JobBoard()
    steps: list[str] = []

    def unpack(job: Job) -> None:
        steps.append("begun")
        job.wanted.add(None, everything=False)
        job.wanted.settle()  # until it is closed
        steps.append("ended")

    async def work(job: Job) -> None:
        await in_thread(lambda: unpack(job), stop=job.wanted.close)

    job = board.start(kernel(1), Part.SYMBOLS, Fingerprint(), work)
    await until(lambda: steps)
    await board.cancel(job, "t1")
    assert steps == ["begun", "ended"]


async def test_work_that_ends_in_spite_of_being_cancelled_is_done() -> None:
    board = JobBoard()

    async def work(job: Job) -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return

    job = board.start(kernel(1), Part.SYMBOLS, Fingerprint(), work)
    await asyncio.sleep(0)
    await board.cancel(job, "t1")
    assert (await events(job))[-1].kind is EventKind.DONE


async def test_the_oldest_that_ended_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernsym.server.jobs.board._KEPT_JOBS", 3)
    board, gate = JobBoard(max_jobs=1), Gate()
    running = gate.start(board, 0)
    await until(lambda: gate.begun)
    for number in range(1, 6):
        await board.cancel(gate.start(board, number), "t1")
        await asyncio.sleep(0)
    assert [job.kernel for job in board.jobs()] == [kernel(0), kernel(4), kernel(5)]
    assert board.get(running.id) is running
    await board.close()
