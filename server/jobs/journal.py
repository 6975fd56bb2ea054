"""The jobs of a shared server on disk, `STORE/jobs/ID.json` each: what runs, and what ended.

One server keeps the journal of a store; a second one on the same store keeps its jobs to itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from kernsym.cache.atomic import write_atomic
from kernsym.cache.locks import hold
from kernsym.server.jobs.job import JobRecord

log = logging.getLogger(__name__)


class Journal:
    """Writes in a thread of its own, in the order of the calls.  A disk that is full costs the
    memory of a job, never the job."""

    def __init__(self, folder: Path, lock: contextlib.ExitStack) -> None:
        self._folder = folder
        self._lock = lock
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")

    @classmethod
    def open(cls, folder: Path) -> Journal | None:
        """The journal in `folder`; None when another process keeps it or it cannot be written."""
        lock = contextlib.ExitStack()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock.enter_context(hold(folder / ".lock", stop=lambda: True))
        except InterruptedError:
            log.warning(
                "another server on this store keeps the jobs; those of this one end with it"
            )
            return None
        except OSError as error:
            log.warning("jobs will not outlive this server: %s: %s", folder, error.strerror)
            return None
        return cls(folder, lock)

    def load(self) -> list[JobRecord]:
        """What was written down, the oldest first; a broken record is passed over."""
        records = []
        for path in self._folder.glob("*.json"):
            try:
                records.append(msgspec.json.decode(path.read_bytes(), type=JobRecord))
            except (OSError, ValueError) as error:  # msgspec's errors are ValueErrors
                log.warning("the job in %s cannot be read: %s", path, error)
        return sorted(records, key=lambda record: (record.status.created, record.status.id))

    async def save(self, record: JobRecord) -> None:
        """Write a job down; when this returns, kill -9 does not lose it."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._writer, self._write, record)

    def save_soon(self, record: JobRecord) -> None:
        self._writer.submit(self._write, record)

    def forget(self, job_id: str) -> None:
        path = self._folder / f"{job_id}.json"
        self._writer.submit(path.unlink, missing_ok=True)

    def close(self) -> None:
        """Let go of the journal once everything is written."""
        self._writer.shutdown()
        self._lock.close()

    def _write(self, record: JobRecord) -> None:
        data = msgspec.json.format(msgspec.json.encode(record), indent=1)
        try:
            write_atomic(self._folder / f"{record.status.id}.json", data, mode=0o600)
        except OSError as error:
            log.warning("job %s is not written down: %s", record.status.id, error.strerror)
