"""The jobs of a server: those that wait, those that run, and the last that ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from functools import partial

from kernsym.cache.messages import Part, Priority
from kernsym.distros import CouldNotFindOut, Fingerprint, Kernel, KernsymError
from kernsym.server.jobs.job import Job
from kernsym.server.jobs.journal import Journal

log = logging.getLogger(__name__)

_KEPT_JOBS = 500
_KEPT_DAYS = timedelta(days=30)
_MOST_JOBS = 4  # a job keeps one core and one download busy
_MOST_DEATHS = 3  # a job that kills its server is not begun for ever

Work = Callable[[Job], Awaitable[None]]
Key = tuple[str | Fingerprint, Part]


class JobBoard:
    """At most `max_jobs` run at once.  Those that a person waits for have their turn first, and
    work in the background leaves one place free for them.  With a `journal` the jobs outlive
    the process.  `on_end` is told how each ended.
    """

    def __init__(
        self,
        *,
        max_jobs: int = _MOST_JOBS,
        journal: Journal | None = None,
        on_end: Callable[[Job, KernsymError | None], None] = lambda job, error: None,
    ) -> None:
        self._max_jobs = max_jobs
        self._journal = journal
        self._on_end = on_end
        self._jobs: dict[str, Job] = {}
        self._active: dict[Key, Job] = {}
        self._waiting: dict[str, tuple[Job, Work]] = {}
        self._tasks: dict[str, asyncio.Task[KernsymError | None]] = {}
        self._closing = False

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def jobs(self) -> list[Job]:
        """All jobs that are remembered, in the order in which they were asked for."""
        return list(self._jobs.values())

    def running(self, what: Kernel | Fingerprint, part: Part) -> Job | None:
        """The job on a kernel, or on the candidates of a fingerprint, that waits or runs."""
        job = self._active.get((what.key if isinstance(what, Kernel) else what, part))
        return job if job and job.cancelled_by is None else None

    def start(
        self,
        kernel: Kernel,
        part: Part,
        fingerprint: Fingerprint,
        work: Work,
        candidates: tuple[Kernel, ...] = (),
        *,
        priority: Priority = Priority.PERSON,
    ) -> Job:
        """Put work on a part of a kernel, or on candidates, that no job is about, in the queue; it
        starts at once when there is room."""
        job = Job(kernel, part, fingerprint, candidates, priority=priority)
        self._enqueue(job, work)
        self._step()
        return job

    def resume(self, work_on: Callable[[Part], Work]) -> None:
        """Take over what the journal holds, and go on with what had not ended."""
        for record in self._journal.load() if self._journal else ():
            job = Job.from_record(record)
            self._remember(job)
            if job.over:
                continue
            if job.deaths >= _MOST_DEATHS:
                self._end(job, _deadly(job))
                continue
            log.info("taken up again", extra=job.about)
            self._enqueue(job, work_on(job.part))
        self._step()

    def allow(self, max_jobs: int) -> None:
        """From now on so many may run at once; those that run go on."""
        self._max_jobs = max_jobs
        self._step()

    def hurry(self, job: Job) -> None:
        """A person waits for it now."""
        if job.priority is not Priority.PERSON:
            job.priority = Priority.PERSON
            self._save(job)
            self._step()

    async def keep(self, job: Job) -> None:
        """Return when all that was asked of the job would survive the end of this process."""
        if self._journal is not None:
            await self._journal.save(job.record())

    async def cancel(self, job: Job, by: str) -> None:
        """End a job; returns when nothing works on it any more.  Its download can be resumed."""
        if job.over or job.cancelled_by is not None:
            return
        job.cancelled_by = by
        log.info("cancelled by %s", by, extra=job.about)
        task = self._tasks.get(job.id)
        if task is None:
            self._end(job, _interrupted())
            return
        task.cancel()
        await asyncio.wait({task})

    async def close(self) -> None:
        """End what runs; downloads stay resumable.  With a journal the jobs are left to the next
        process, else they end as interrupted."""
        self._closing = True
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        for job in list(self._active.values()):
            self._end(job, _interrupted())
        await asyncio.sleep(0)  # the last events are on their way
        if self._journal is not None:
            await asyncio.to_thread(self._journal.close)

    def _enqueue(self, job: Job, work: Work) -> None:
        self._remember(job)
        self._active[_key(job)] = job
        self._waiting[job.id] = (job, work)

    def _step(self) -> None:
        """Start what has its turn, and tell the others their place."""
        while not self._closing and (job := self._next()) is not None:
            _, work = self._waiting.pop(job.id)
            job.begin()
            task = asyncio.create_task(_run(job, work), name=f"job {job.id} {job.kernel.key}")
            task.add_done_callback(partial(self._ended, job))
            self._tasks[job.id] = task
        for place, waiting in enumerate(self._queue()):
            waiting.queued(place)

    def _queue(self) -> list[Job]:
        jobs = [job for job, _ in self._waiting.values()]
        return sorted(jobs, key=lambda job: job.priority is Priority.BACKGROUND)

    def _next(self) -> Job | None:
        first = next(iter(self._queue()), None)
        if first is None or len(self._tasks) >= self._max_jobs:
            return None
        others = [self._jobs[job_id].priority for job_id in self._tasks]
        quiet = others.count(Priority.BACKGROUND) < max(1, self._max_jobs - 1)
        return first if quiet or first.priority is Priority.PERSON else None

    def _ended(self, job: Job, task: asyncio.Task[KernsymError | None]) -> None:
        del self._tasks[job.id]
        # Whoever asks from now on starts a new job or finds what this one published.
        self._end(job, _interrupted() if task.cancelled() else task.result())

    def _end(self, job: Job, error: KernsymError | None) -> None:
        self._waiting.pop(job.id, None)
        if self._active.get(_key(job)) is job:
            del self._active[_key(job)]
        if error is not None and job.cancelled_by is not None:
            error = _cancelled(job)
        elif error is not None and self._closing and self._journal is not None:
            job.hand_back()
            self._save(job)
            return
        job.finish(error)
        self._on_end(job, error)
        self._step()

    def _remember(self, job: Job) -> None:
        """Keep a job, and forget those that ended long ago."""
        job.on_step = self._save
        self._jobs[job.id] = job
        oldest = datetime.now(timezone.utc) - _KEPT_DAYS
        surplus = len(self._jobs) - _KEPT_JOBS
        for kept in [kept for kept in self._jobs.values() if kept.over]:
            if surplus <= 0 and kept.created > oldest:
                break
            surplus -= 1
            del self._jobs[kept.id]
            if self._journal is not None:
                self._journal.forget(kept.id)

    def _save(self, job: Job) -> None:
        if self._journal is not None:
            self._journal.save_soon(job.record())


def _key(job: Job) -> Key:
    return (job.fingerprint if job.candidates else job.kernel.key, job.part)


async def _run(job: Job, work: Work) -> KernsymError | None:
    try:
        await work(job)
    except KernsymError as error:
        return error
    except Exception as error:
        log.exception("the job failed", extra=job.about)
        return KernsymError("fault", f"{type(error).__name__}: {error}")
    return None


def _interrupted() -> KernsymError:
    return KernsymError("interrupted", "the server was stopped while it worked on this")


def _cancelled(job: Job) -> KernsymError:
    return CouldNotFindOut(
        "cancelled",
        f"the job was cancelled by {job.cancelled_by}",
        hint="what was downloaded is kept: ask again to go on",
    )


def _deadly(job: Job) -> KernsymError:
    return KernsymError(
        "fault",
        f"{job.deaths} servers were killed while they worked on this",
        hint="ask again to have it tried once more",
    )
