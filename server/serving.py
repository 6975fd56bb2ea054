"""One process that listens, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable, Iterable

from aiohttp import web

from kernsym.distros import Unusable
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig
from kernsym.server.keys import METRICS
from kernsym.server.request_log import Observer, observing

log = logging.getLogger("kernsym.server")


async def serve(
    config: ServerConfig,
    *,
    started: Callable[[str], None],
    stopped: asyncio.Event,
    observers: Iterable[Observer] = (),
) -> None:
    """Serve until `stopped` is set; `started` is told the URL.

    Then nothing new is accepted, running jobs are handed back, running answers get the
    configuration's `shutdown_seconds`.  Raises `Unusable` (`cannot-listen`, `store-unusable`).
    """
    options = config.options
    app = build_app(config)
    runner = web.AppRunner(
        app,
        access_log_class=observing(app[METRICS].request, *observers),
        keepalive_timeout=options.idle_seconds,
        shutdown_timeout=options.shutdown_seconds,
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, config.host, config.port).start()
        except OSError as error:
            raise Unusable(
                "cannot-listen",
                f"cannot listen on {config.host}:{config.port}: {error.strerror}",
                hint="choose another address with --listen HOST:PORT",
            ) from error
        host, port = runner.addresses[0][:2]
        started(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await stopped.wait()
    finally:
        await runner.cleanup()


def stop_at(stopped: asyncio.Event, *signals: signal.Signals) -> None:
    """Set `stopped` at the first of these signals; the second ends the process as it stands."""
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        log.info("stopping at %s", number.name)
        stopped.set()

    for number in signals:
        loop.add_signal_handler(number, first, number)
