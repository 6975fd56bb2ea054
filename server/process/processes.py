"""The shared server as processes: one that does everything, or workers and behind them the fetcher.

A worker answers what the store holds.  All else, above all what starts or follows a job, it passes
to the fetcher, so that a kernel is fetched once whichever worker was asked.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from aiohttp import web

from kernsym.distros import KernsymError
from kernsym.server.app import build_app, build_worker
from kernsym.server.config import ServerConfig
from kernsym.server.keys import METRICS, RELOAD
from kernsym.server.process import systemd
from kernsym.server.process.listening import like, unix_socket, url_of
from kernsym.server.process.serving import reload_at_hangup, serve, stop_at
from kernsym.server.process.shared_numbers import Numbers
from kernsym.server.process.supervisor import Run, Started, Supervisor
from kernsym.server.process.tls import warn_of_exposure
from kernsym.server.watch.logs import LineHandler, complain, report
from kernsym.server.watch.request_log import Observer, RequestLog

log = logging.getLogger("kernsym.server")

Read = Callable[[], ServerConfig]
Sockets = Sequence[socket.socket]

_TO_CLEAN_UP = 5.0  # seconds that a process may take beyond those for its answers


def run_server(config: ServerConfig, sockets: Sockets, read: Read, lines: LineHandler) -> None:
    """Serve on these sockets until a signal says to stop; `read` gives the configuration anew.

    Raises `Unusable` (`store-unusable`, `start-failed`).
    """
    if config.options.workers > 1:
        _Workers(config, sockets, read, lines).run()
        return
    app = build_app(config)
    observers = (app[METRICS].request, RequestLog(lines))
    started = partial(_announce, config, sockets)
    asyncio.run(_answer(app, config, sockets, read=read, observers=observers, started=started))
    lines.flush()


class _Workers:
    """What the processes are, and how they are joined."""

    def __init__(
        self, config: ServerConfig, sockets: Sockets, read: Read, lines: LineHandler
    ) -> None:
        self._config = config
        others = [
            [like(each, config) for each in sockets] for _ in range(config.options.workers - 1)
        ]
        self._sockets = [sockets, *others]  # of each worker
        self._read = read
        self._lines = lines
        self._numbers = Numbers()
        # Under systemd the folder is the service's own, and goes with it.
        runtime = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0] or None
        self._folder = Path(tempfile.mkdtemp(prefix="kernsym-", dir=runtime))
        self._behind = unix_socket(self._folder / "fetcher")

    def run(self) -> None:
        options = self._config.options
        runs: dict[str, Run] = {"fetcher": self._as_process(self._fetch)}
        for number, sockets in enumerate(self._sockets, 1):
            name = f"worker {number}"
            runs[name] = self._as_process(partial(self._work, name, sockets))
        try:
            Supervisor(runs).run(
                started=lambda: _announce(self._config, self._sockets[0]),
                reload=self._reload,
                stopping=self._stop_listening,
                seconds=options.shutdown_seconds + _TO_CLEAN_UP,
            )
        finally:
            self._behind.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _reload(self) -> bool:
        """Let processes that are started from now on have the new configuration; whether those
        that run shall read it."""
        systemd.reloading()
        try:
            self._config = self._read()
        except KernsymError as error:
            complain(log, "the configuration stays as it was", error)
            return False
        finally:
            systemd.ready()
        return True

    def _stop_listening(self) -> None:
        """Else the port would take connections that nobody accepts, after the workers left it."""
        self._close_all_but(())
        systemd.stopping()

    def _close_all_but(self, kept: Sockets) -> None:
        for each in chain.from_iterable(self._sockets):
            if each not in kept:
                each.close()

    def _fetch(self, started: Started) -> None:
        self._close_all_but(())
        app = build_app(self._config)
        self._numbers.receive_in(app)
        # It notes no requests: the workers do, as clients see them.
        self._run(app, [self._behind], started, ())

    def _work(self, name: str, sockets: Sockets, started: Started) -> None:
        self._close_all_but(sockets)
        app = build_worker(self._config, self._folder / "fetcher")
        self._numbers.send_from(app, name)
        observers = (app[METRICS].request, RequestLog(self._lines))
        self._run(app, sockets, started, observers)

    def _run(
        self,
        app: web.Application,
        sockets: Sockets,
        started: Started,
        observers: Sequence[Observer],
    ) -> None:
        asyncio.run(
            _answer(
                app, self._config, sockets, read=self._read, observers=observers, started=started
            )
        )

    def _as_process(self, task: Callable[[Started], None]) -> Run:
        """What a process does whose whole task this is."""

        def run(started: Started) -> int:
            os.environ.pop("NOTIFY_SOCKET", None)  # the supervisor speaks for all
            try:
                task(started)
            except KernsymError as error:
                report(error)
                return 1
            finally:
                self._lines.flush()
            return 0

        return run


async def _answer(
    app: web.Application,
    config: ServerConfig,
    sockets: Sockets,
    *,
    read: Read,
    observers: Sequence[Observer],
    started: Started,
) -> None:
    stopped = asyncio.Event()
    # Who signals the whole group signals each process twice: its supervisor does too.
    again = signal.SIG_IGN if config.options.workers > 1 else signal.SIG_DFL
    stop_at(stopped, signal.SIGTERM, signal.SIGINT, again=again)
    reload_at_hangup(app[RELOAD], read)
    await serve(
        app,
        config,
        sockets,
        started=started,
        stopped=stopped,
        observers=observers,
    )


def _announce(config: ServerConfig, sockets: Sockets) -> None:
    workers = f" with {config.options.workers} workers" if config.options.workers > 1 else ""
    scheme = "https" if config.options.tls_cert else "http"
    for each in sockets:
        url = url_of(each, scheme=scheme)
        log.info("serving %s at %s%s", config.store, url, workers)
    warn_of_exposure(sockets, config.options)
    systemd.ready()
