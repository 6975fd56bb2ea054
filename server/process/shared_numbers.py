"""How the workers' numbers come to the fetcher, which shows those of all: by datagrams, about once
a second, on a pair of sockets that all of them inherit and that outlives each of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
from aiohttp import web

from kernsym.server.keys import METRICS
from kernsym.server.watch.metrics import Labels, Metrics

_PAUSE_SECONDS = 1.0
_MOST_BYTES = 1 << 20
_MOST_ROWS = 200  # in a datagram, which the kernel limits to some 200 kB


class _Message(msgspec.Struct, array_like=True):
    """From the process `name`: rows of `Metrics`, and the memory that it takes."""

    name: str
    rows: list[tuple[Labels, list[float]]]
    memory: int


class Numbers:
    """Both ends of the pair; made before the processes are."""

    def __init__(self) -> None:
        self._there, self._here = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._there.setblocking(False)
        self._here.setblocking(False)

    def send_from(self, app: web.Application, name: str) -> None:
        """Have a worker's application send its numbers, to the last."""

        async def sending(app: web.Application) -> AsyncIterator[None]:
            task = asyncio.create_task(self._keep_sending(app[METRICS], name))
            yield
            task.cancel()
            self._send(app[METRICS], name)

        app.cleanup_ctx.append(sending)

    def receive_in(self, app: web.Application) -> None:
        """Have the fetcher's application count what the workers send."""
        memory: dict[Labels, float] = {}
        app[METRICS].gauge(
            "kernsym_worker_memory_bytes",
            "Resident memory of a worker.",
            ("worker",),
            lambda: memory,
        )

        async def receiving(app: web.Application) -> AsyncIterator[None]:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._here, self._receive, app[METRICS], memory)
            yield
            loop.remove_reader(self._here)

        app.cleanup_ctx.append(receiving)

    async def _keep_sending(self, metrics: Metrics, name: str) -> None:
        while True:
            await asyncio.sleep(_PAUSE_SECONDS)
            self._send(metrics, name)

    def _send(self, metrics: Metrics, name: str) -> None:
        rows = list(metrics.take().items())
        for begin in range(0, len(rows), _MOST_ROWS):
            part = rows[begin : begin + _MOST_ROWS]
            message = _Message(name, part, _resident_bytes())
            try:
                self._there.send(msgspec.msgpack.encode(message))
            except OSError:  # the fetcher is being started again and its queue is full
                metrics.add(dict(part))

    def _receive(self, metrics: Metrics, memory: dict[Labels, float]) -> None:
        with contextlib.suppress(BlockingIOError, msgspec.DecodeError):
            message = msgspec.msgpack.decode(self._here.recv(_MOST_BYTES), type=_Message)
            metrics.add(dict(message.rows))
            memory[(message.name,)] = message.memory


def _resident_bytes() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
