"""One job: what it works on, how far it is, and its events for those who follow."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from kernsym.cache.messages import (
    LAST_EVENTS,
    LAST_STATES,
    Event,
    EventKind,
    JobState,
    JobStatus,
    Part,
    Partial,
    Priority,
)
from kernsym.distros import Fingerprint, Kernel, KernsymError
from kernsym.server.jobs.coming import Coming
from kernsym.server.jobs.wanted import Wanted
from kernsym.server.problems import problem_of

log = logging.getLogger(__name__)

_PROGRESS_SECONDS = 0.2
_QUEUE = "queue"  # the stage of a job that waits for its turn
_IDS_OF_AN_ATTEMPT = 1 << 24  # at five events a second that is more than a month


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """All that is needed to go on with a job in another process, or to show how it ended.

    `attempts`: how many processes have had it.  `deaths`: how many of them were killed over it.
    """

    status: JobStatus
    fingerprint: Fingerprint
    candidates: tuple[Kernel, ...] = ()
    modules: tuple[str, ...] = ()
    all_modules: bool = False
    partial: Partial = Partial.NO
    digests: tuple[str, ...] = ()
    asked_by: tuple[str, ...] = ()
    attempts: int = 0
    deaths: int = 0


@dataclass(slots=True)
class _Times:
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    seconds: float | None = None
    _began: float = 0.0

    def start(self) -> None:
        self.started, self._began = _now(), time.monotonic()

    def end(self) -> None:
        self.seconds = self.so_far()
        self.ended = _now()

    def so_far(self) -> float | None:
        """Seconds of work; by a clock that does not jump."""
        if self.ended or not self._began:
            return self.seconds
        return round(time.monotonic() - self._began, 3)


class Job:
    """Work on one part of one kernel.  `stage`, `progress`, `vmlinux` and `downloaded` may be
    called from any thread; everything else belongs to the event loop.

    `candidates`: the kernels to try where the fingerprint does not tell for certain; `kernel` is
    then the one that is being tried.  `digests`: of the only packages that may be taken, () any.
    `partial`: as those want it who began the job.  `asked_by`: the names of those who asked.
    `cancelled_by`: who wants it to end.  `on_step` is called in the event loop after each event
    but progress.
    """

    def __init__(
        self,
        kernel: Kernel,
        part: Part,
        fingerprint: Fingerprint,
        candidates: tuple[Kernel, ...] = (),
        *,
        priority: Priority = Priority.PERSON,
    ) -> None:
        self.id = secrets.token_hex(8)
        self.kernel = kernel
        self.part = part
        self.fingerprint = fingerprint
        self.candidates = candidates
        self.priority = priority
        self.partial = Partial.NO
        self.wanted = Wanted()
        self.coming = Coming()
        self.state = JobState.QUEUED
        self.digests: tuple[str, ...] = ()
        self.asked_by: set[str] = set()
        self.cancelled_by: str | None = None
        self.on_step: Callable[[Job], None] = lambda job: None
        self._loop = asyncio.get_running_loop()
        self._times = _Times(_now())
        self._attempts = 1
        self._deaths = 0
        self._bytes = 0
        self._ahead: int | None = None
        self._events: list[Event] = []
        self._changed = asyncio.Event()
        self._over = False
        self._count = 0
        self._next_progress: dict[str, float] = {}

    @classmethod
    def from_record(cls, record: JobRecord) -> Job:
        """The job that another process wrote down: ended as it ended, else to be begun again.  The
        ids of its events go on above those that were given out."""
        shown = record.status
        job = cls(shown.kernel, shown.part, record.fingerprint, record.candidates)
        job.id, job.priority, job.partial = shown.id, shown.priority, record.partial
        job.asked_by = set(record.asked_by)
        job.digests = record.digests
        job.wanted.add(record.modules, everything=record.all_modules)
        job._bytes = shown.downloaded
        job._times = _Times(shown.created)
        job._deaths = record.deaths + (shown.state is JobState.RUNNING)
        job._attempts = record.attempts + 1
        job._count = record.attempts * _IDS_OF_AN_ATTEMPT
        if shown.state in LAST_STATES:
            job.state, job._over = shown.state, True
            job._times.started, job._times.ended = shown.started, shown.ended
            job._times.seconds = shown.seconds
            job._events = [shown.last_event] if shown.last_event else []
        return job

    def record(self) -> JobRecord:
        return JobRecord(
            status=self.status(),
            fingerprint=self.fingerprint,
            candidates=self.candidates,
            modules=tuple(sorted(self.wanted.names())),
            all_modules=self.wanted.everything,
            partial=self.partial,
            digests=self.digests,
            asked_by=tuple(sorted(self.asked_by)),
            attempts=self._attempts,
            deaths=self._deaths,
        )

    def status(self) -> JobStatus:
        return JobStatus(
            id=self.id,
            kernel=self.kernel,
            part=self.part,
            state=self.state,
            last_event=self._events[-1] if self._events else None,
            priority=self.priority,
            ahead=self._ahead,
            created=self._times.created,
            started=self._times.started,
            ended=self._times.ended,
            seconds=self._times.so_far(),
            downloaded=self._bytes,
        )

    @property
    def about(self) -> dict[str, str]:
        """What a line of the log is about that is about this job."""
        return {"kernel": self.kernel.key, "job": self.id}

    @property
    def created(self) -> datetime:
        return self._times.created

    @property
    def over(self) -> bool:
        """Whether nothing more will happen in this process."""
        return self._over

    @property
    def deaths(self) -> int:
        """How many processes were killed while they worked on it."""
        return self._deaths

    @property
    def vmlinux_event(self) -> Event | None:
        """Where the checked vmlinux lies, once it is there."""
        found = [event for event in self._events if event.kind is EventKind.VMLINUX]
        return found[-1] if found else None

    @property
    def current_stage(self) -> str:
        """The stage of the last event, "" before the first."""
        return self._events[-1].stage if self._events else ""

    def queued(self, ahead: int) -> None:
        """It waits for its turn, and `ahead` jobs will have theirs before it."""
        if ahead != self._ahead:
            self._ahead = ahead
            text = f"{ahead} jobs are ahead of it" if ahead != 1 else "1 job is ahead of it"
            text = text if ahead else "it is the next"
            self._post(Event(id=0, kind=EventKind.STAGE, stage=_QUEUE, text=text))

    def begin(self) -> None:
        """Its turn has come."""
        self.state, self._ahead = JobState.RUNNING, None
        self._times.start()
        self.on_step(self)

    def stage(self, stage: str, text: str) -> None:
        """Say that something was done or begun."""
        log.info("%s: %s", stage, text, extra=self.about)
        self._post(Event(id=0, kind=EventKind.STAGE, stage=stage, text=text))

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Say how many bytes are done; at most five times a second go out."""
        now = time.monotonic()
        if done != total and now < self._next_progress.get(stage, 0.0):
            return
        self._next_progress[stage] = now + _PROGRESS_SECONDS
        self._post(Event(id=0, kind=EventKind.PROGRESS, stage=stage, done=done, total=total))

    def downloaded(self, size: int) -> None:
        """Count bytes that came over the network."""
        self._bytes += size

    def vmlinux(self, path: str) -> None:
        """Say that a checked vmlinux lies at `path` in the kernel's folder."""
        self._post(Event(id=0, kind=EventKind.VMLINUX, path=path, kernel=self.kernel))

    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """The events with a higher id than `after`, as they come, to the last; without a last one
        when the job was handed back and another process will go on with it."""
        while True:
            changed, over = self._changed, self._over
            for event in [event for event in self._events if event.id > after]:
                after = event.id
                yield event
            if over:
                return
            await changed.wait()

    def finish(self, error: KernsymError | None) -> None:
        """End the job: well, with an error, or cancelled when it was to be."""
        self.wanted.close()
        self._ahead = None
        self._times.end()
        kind = EventKind.FAILED if error else EventKind.DONE
        self.state = JobState.FAILED if error else JobState.DONE
        if error and self.cancelled_by is not None:
            kind, self.state = EventKind.CANCELLED, JobState.CANCELLED
        # Posted like all the others, so that it comes after those that threads have posted.
        self._post(Event(id=0, kind=kind, problem=problem_of(error) if error else None))

    def hand_back(self) -> None:
        """Leave the job to the next process: those who follow it have to ask there."""
        self.wanted.close()
        self.state = JobState.QUEUED
        self._over = True
        self._announce()

    def _post(self, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._append, event)

    def _append(self, event: Event) -> None:
        """Add an event; progress, and a place in the queue, replace the earlier of their stage."""
        if self._over:
            return
        passing = event.kind is EventKind.PROGRESS
        if passing or event.stage == _QUEUE:
            told = (event.kind, event.stage)
            self._events = [kept for kept in self._events if (kept.kind, kept.stage) != told]
        self._count += 1
        self._events.append(replace(event, id=self._count))
        self._over = event.kind in LAST_EVENTS
        self._announce()
        if not passing:
            self.on_step(self)

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _now() -> datetime:
    return datetime.now(timezone.utc)
