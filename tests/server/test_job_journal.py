"""What is written down of jobs, and how the next process goes on with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from kernsym.cache.messages import EventKind, JobState, Part, Priority
from kernsym.distros import Fingerprint, Refused
from kernsym.server.jobs import Job, JobBoard, Journal
from kernsym.server.jobs.job import JobRecord
from tests.server.working import Gate, events, kernel, until

FINGERPRINT = Fingerprint(banner="Linux version 6.1.0-1-amd64", build_id="ab" * 20)


def opened(folder: Path) -> Journal:
    journal = Journal.open(folder)
    assert journal is not None
    return journal


def written(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob("*.json")}


async def abandon(journal: Journal, job: Job) -> None:
    """Leave the journal as kill -9 does: with all that was kept, and nothing after it."""
    await journal.save(job.record())
    journal.close()


async def test_what_ran_is_begun_again_under_its_id(tmp_path: Path) -> None:
    journal, gate = opened(tmp_path), Gate()
    board = JobBoard(journal=journal)
    job = board.start(kernel(1), Part.SYMBOLS, FINGERPRINT, gate.work, (kernel(1), kernel(2)))
    job.wanted.add(("ext4", "snd-hda"), everything=False)
    job.asked_by.add("t1")
    job.downloaded(1000)
    job.kernel = kernel(2)  # the second candidate is being tried
    await until(lambda: gate.begun)
    seen = job._events[-1].id
    await abandon(journal, job)

    after, again = Gate(), JobBoard(journal=opened(tmp_path))
    again.resume(lambda part: after.work)
    await until(lambda: after.begun)
    same = again.get(job.id)
    assert same is not None and same.state is JobState.RUNNING
    assert (same.fingerprint, same.candidates) == (FINGERPRINT, (kernel(1), kernel(2)))
    assert same.wanted.names() == {"ext4", "snd_hda"}
    assert same.asked_by == {"t1"} and same.status().downloaded == 1000
    assert again.running(FINGERPRINT, Part.SYMBOLS) is same
    after.open()
    followed = await events(same, after=seen)
    assert [event.kind for event in followed] == [EventKind.STAGE, EventKind.DONE]
    await again.close()
    gate.open()


async def test_the_queue_keeps_its_order_and_its_priorities(tmp_path: Path) -> None:
    journal, gate = opened(tmp_path), Gate()
    board = JobBoard(max_jobs=1, journal=journal)
    priorities = (Priority.BACKGROUND, Priority.BACKGROUND, Priority.PERSON)
    jobs = [gate.start(board, number, which) for number, which in enumerate(priorities)]
    await until(lambda: gate.begun)
    await board.close()
    assert [job.state for job in jobs] == [JobState.QUEUED] * 3
    assert [event.kind for event in await events(jobs[0])] == [EventKind.STAGE]

    after, again = Gate(), JobBoard(max_jobs=1, journal=opened(tmp_path))
    again.resume(lambda part: after.work)
    after.open()
    for job in again.jobs():
        await events(job)
    assert after.begun == [job.id for job in (jobs[2], jobs[0], jobs[1])]
    await again.close()


async def test_the_history_outlives_the_process(tmp_path: Path) -> None:
    async def fail(job: Job) -> None:
        job.downloaded(7)
        raise Refused("digest-mismatch", "not what was announced", context=("a",), hint="b")

    board = JobBoard(journal=opened(tmp_path))
    job = board.start(kernel(1), Part.SOURCES, FINGERPRINT, fail)
    seen = await events(job)
    await board.close()

    again = JobBoard(journal=opened(tmp_path))
    again.resume(lambda part: fail)
    same = again.get(job.id)
    assert same is not None and same.status() == job.status()
    assert same.status().seconds is not None and same.status().downloaded == 7
    assert await events(same) == seen[-1:]
    assert again.running(kernel(1), Part.SOURCES) is None
    await again.close()


async def test_a_job_that_kills_its_server_is_given_up(tmp_path: Path) -> None:
    journal, gate = opened(tmp_path), Gate()
    job = gate.start(JobBoard(journal=journal), 1)
    await until(lambda: gate.begun)
    await abandon(journal, job)
    for _ in range(2):
        journal = opened(tmp_path)
        board = JobBoard(journal=journal)
        board.resume(lambda part: gate.work)
        taken = board.get(job.id)
        assert taken is not None and taken.state is JobState.RUNNING
        await abandon(journal, taken)
    board = JobBoard(journal=opened(tmp_path))
    board.resume(lambda part: gate.work)
    last = board.get(job.id)
    assert last is not None
    problem = (await events(last))[-1].problem
    assert problem is not None and "3 servers were killed" in problem.title
    await board.close()


async def test_a_broken_record_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "aa.json").write_text("{")
    (tmp_path / "bb.json").write_text('{"status": {}}')
    board = JobBoard(journal=opened(tmp_path))
    board.resume(lambda part: Gate().work)
    assert board.jobs() == [] and caplog.text.count("cannot be read") == 2
    await board.close()


async def test_what_is_forgotten_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.server.jobs.board._KEPT_JOBS", 2)
    board, gate = JobBoard(journal=opened(tmp_path)), Gate()
    gate.open()
    for number in range(5):
        await events(gate.start(board, number))
    await board.close()
    assert written(tmp_path) == {job.id for job in board.jobs()}
    assert len(board.jobs()) == 2


async def test_ended_jobs_of_long_ago_are_forgotten_at_the_start(tmp_path: Path) -> None:
    board, gate = JobBoard(journal=opened(tmp_path)), Gate()
    gate.open()
    job = gate.start(board, 1)
    await events(job)
    await board.close()
    file = tmp_path / f"{job.id}.json"
    record = msgspec.json.decode(file.read_bytes(), type=JobRecord)
    old = record.status.created.replace(year=record.status.created.year - 1)
    old_record = replace(record, status=replace(record.status, created=old))
    file.write_bytes(msgspec.json.encode(old_record))
    again = JobBoard(journal=opened(tmp_path))
    again.resume(lambda part: gate.work)
    assert again.jobs() == []
    await again.close()
    assert not file.exists()


async def test_a_store_has_one_journal_at_a_time(tmp_path: Path) -> None:
    journal = opened(tmp_path)
    assert Journal.open(tmp_path) is None
    journal.close()
    opened(tmp_path).close()


async def test_a_full_disk_does_not_end_the_work(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, gate = opened(tmp_path / "jobs"), Gate()
    board = JobBoard(journal=journal)
    gate.open()
    (tmp_path / "jobs").rename(tmp_path / "gone")
    (tmp_path / "jobs").write_text("in the way")
    job = gate.start(board, 1)
    await board.keep(job)
    assert (await events(job))[-1].kind is EventKind.DONE
    await board.close()
    assert "is not written down" in caplog.text
