"""Jobs: one per kernel and part however many ask, and their events for those who follow."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from kernsym.cache.messages import Event, EventKind, JobState, JobStatus, Part
from kernsym.distros import Fingerprint, Kernel, KernsymError
from kernsym.server.problems import problem_of
from kernsym.server.wanted import Wanted

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.2
_KEPT_JOBS = 200


class Job:
    """Work on one part of one kernel.  `stage`, `progress` and `vmlinux` may be called from
    any thread; everything else belongs to the event loop.

    `candidates`: the kernels to try where the fingerprint does not tell for certain; `kernel` is
    then the one that is being tried.
    """

    def __init__(
        self,
        kernel: Kernel,
        part: Part,
        fingerprint: Fingerprint,
        candidates: tuple[Kernel, ...] = (),
    ) -> None:
        self.id = secrets.token_hex(8)
        self.kernel = kernel
        self.part = part
        self.fingerprint = fingerprint
        self.candidates = candidates
        self.wanted = Wanted()
        self.state = JobState.RUNNING
        self._loop = asyncio.get_running_loop()
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._count = 0
        self._next_progress: dict[str, float] = {}

    def status(self) -> JobStatus:
        return JobStatus(
            id=self.id,
            kernel=self.kernel,
            part=self.part,
            state=self.state,
            last_event=self._events[-1] if self._events else None,
        )

    def stage(self, stage: str, text: str) -> None:
        """Say that something was done or begun."""
        log.info("%s: %s: %s", self.kernel.key, stage, text)
        self._post(Event(id=0, kind=EventKind.STAGE, stage=stage, text=text))

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Say how many bytes are done; at most five times a second go out."""
        now = time.monotonic()
        if done != total and now < self._next_progress.get(stage, 0.0):
            return
        self._next_progress[stage] = now + _PROGRESS_SECONDS
        self._post(Event(id=0, kind=EventKind.PROGRESS, stage=stage, done=done, total=total))

    def vmlinux(self, path: str) -> None:
        """Say that a checked vmlinux lies at `path` in the kernel's folder."""
        self._post(Event(id=0, kind=EventKind.VMLINUX, path=path, kernel=self.kernel))

    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """The events with a higher id than `after`, as they come, to the last."""
        while True:
            changed = self._changed
            for event in [event for event in self._events if event.id > after]:
                after = event.id
                yield event
                if event.kind in (EventKind.DONE, EventKind.FAILED):
                    return
            await changed.wait()

    def finish(self, error: KernsymError | None) -> None:
        """End the job, well or with an error."""
        self.wanted.close()
        self.state = JobState.FAILED if error else JobState.DONE
        kind = EventKind.FAILED if error else EventKind.DONE
        # Posted like all the others, so that it comes after those that threads have posted.
        self._post(Event(id=0, kind=kind, problem=problem_of(error) if error else None))

    def _post(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._append, event)

    def _append(self, event: Event) -> None:
        """Add an event; progress replaces the earlier progress of its stage."""
        if self._events and self._events[-1].kind in (EventKind.DONE, EventKind.FAILED):
            return
        if event.kind is EventKind.PROGRESS:
            self._events = [
                kept
                for kept in self._events
                if not (kept.kind is EventKind.PROGRESS and kept.stage == event.stage)
            ]
        self._count += 1
        self._events.append(replace(event, id=self._count))
        self._changed.set()
        self._changed = asyncio.Event()


Work = Callable[[Job], Awaitable[None]]


class JobBoard:
    """The jobs of a server: those that run, by kernel and part, and the last that ended."""

    def __init__(self) -> None:
        self._running: dict[tuple[str | Fingerprint, Part], Job] = {}
        self._jobs: dict[str, Job] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def running(self, what: Kernel | Fingerprint, part: Part) -> Job | None:
        """The job on a kernel, or on the candidates of a fingerprint."""
        return self._running.get((what.key if isinstance(what, Kernel) else what, part))

    def start(
        self,
        kernel: Kernel,
        part: Part,
        fingerprint: Fingerprint,
        work: Work,
        candidates: tuple[Kernel, ...] = (),
    ) -> Job:
        """Start work on a part of a kernel, or on candidates, that no job is working on."""
        job = Job(kernel, part, fingerprint, candidates)
        key = (fingerprint if candidates else kernel.key, part)
        self._running[key] = job
        self._jobs[job.id] = job
        while len(self._jobs) > _KEPT_JOBS:
            oldest = next(iter(self._jobs))
            if self._jobs[oldest].state is JobState.RUNNING:
                break
            del self._jobs[oldest]
        task = asyncio.create_task(self._run(job, key, work), name=f"job {kernel.key} {part.value}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def close(self) -> None:
        """Cancel what runs; downloads stay resumable."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job, key: tuple[str | Fingerprint, Part], work: Work) -> None:
        error: KernsymError | None = None
        try:
            await work(job)
        except KernsymError as caught:
            error = caught
        except asyncio.CancelledError:
            error = KernsymError("interrupted", "the server was stopped while it worked on this")
            raise
        except Exception as caught:
            log.exception("%s: the job failed", job.kernel.key)
            error = KernsymError("fault", f"{type(caught).__name__}: {caught}")
        finally:
            # Whoever asks from now on starts a new job or finds what this one published.
            del self._running[key]
            job.finish(error)
