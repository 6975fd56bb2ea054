"""Jobs that do nothing but wait until they are let go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from kernsym.cache.messages import Event, Part, Priority
from kernsym.distros import Fingerprint, Kernel
from kernsym.server.jobs import Job, JobBoard


def kernel(number: int) -> Kernel:
    return Kernel(
        distro="debian",
        release="12",
        arch="x86_64",
        uname=f"6.1.0-{number}-amd64",
        flavour="amd64",
        version="6.1.7-1",
    )


class Gate:
    """`work` for a board: notes the order in which jobs begin; each waits for `open`."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self._open = asyncio.Event()

    async def work(self, job: Job) -> None:
        self.begun.append(job.id)
        job.stage("work", "begun")
        await self._open.wait()

    def open(self) -> None:
        self._open.set()

    def start(self, board: JobBoard, number: int, priority: Priority = Priority.PERSON) -> Job:
        return board.start(
            kernel(number), Part.SYMBOLS, Fingerprint(), self.work, priority=priority
        )


async def events(job: Job, after: int = 0) -> list[Event]:
    return [event async for event in job.follow(after)]


async def until(condition: Callable[[], object]) -> None:
    """Let the loop and its threads go on until something is so."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
