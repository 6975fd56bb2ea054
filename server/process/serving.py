"""One process that answers, from its start to its end."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from kernsym.server.config import ServerConfig
from kernsym.server.gate.malformed import RequestHandler
from kernsym.server.keys import RELOAD
from kernsym.server.process import systemd
from kernsym.server.process.listening import BACKLOG, is_spread, most_connections
from kernsym.server.process.memory import give_memory_back
from kernsym.server.process.reload import Reload
from kernsym.server.process.tls import Certificate
from kernsym.server.watch.request_log import Observer, observing

log = logging.getLogger("kernsym.server")


async def serve(
    app: web.Application,
    config: ServerConfig,
    sockets: Iterable[socket.socket],
    *,
    started: Callable[[], None],
    stopped: asyncio.Event,
    observers: Iterable[Observer] = (),
) -> None:
    """Answer on these sockets until `stopped` is set; `started` is called when it does.

    Then nothing new is accepted, jobs are handed back, and running answers get the configuration's
    `shutdown_seconds`.
    Raises `Unusable` (`store-unusable`, `tls-broken`).
    """
    give_memory_back()
    certificate = Certificate(config.options)
    if certificate.context is not None:
        app[RELOAD].on_change(certificate.renew)  # the names may be the old ones
        app[RELOAD].on_change(certificate.renew, "tls_cert", "tls_key")
    handling: dict[str, Any] = {
        "access_log_class": observing(*observers),
        "keepalive_timeout": config.options.idle_seconds,
    }
    runner = web.AppRunner(app, shutdown_timeout=config.options.shutdown_seconds, **handling)
    listeners: list[asyncio.Server] = []
    await runner.setup()
    try:
        for each in sockets:
            shared = config.options.workers > 1 and not is_spread(each)
            context = None if each.family == socket.AF_UNIX else certificate.context
            listeners.append(await _listen(runner, handling, each, context, shared=shared))
        started()
        await stopped.wait()
    finally:
        for listener in listeners:
            listener.close()
        await runner.cleanup()


async def _listen(
    runner: web.AppRunner,
    handling: dict[str, Any],
    listening: socket.socket,
    context: ssl.SSLContext | None,
    *,
    shared: bool,
) -> asyncio.Server:
    """Accept connections, as long as there are descriptors for them and what they ask for; they are
    handled with the options `handling`."""
    most, loop = most_connections(), asyncio.get_running_loop()
    full = False

    def connected() -> asyncio.Protocol:
        nonlocal full
        assert runner.server is not None
        if len(runner.server.connections) < most:
            full = False
            return RequestHandler(runner.server, loop=loop, **handling)
        if not full:
            log.warning("%d connections are open, more are turned away", most)
            full = True
        return _TurnAway()

    listener = await loop.create_server(
        connected,
        sock=listening,
        ssl=context,
        # asyncio accepts as many connections in a row as it is told the backlog is, and they are
        # counted afterwards; of a socket that processes share one leaves the next to another.
        backlog=1 if shared else 16,
    )
    listening.listen(BACKLOG)
    return listener


class _TurnAway(asyncio.Protocol):
    """Tells a client to come again later."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
            b"Connection: close\r\n\r\n"
        )
        transport.close()


def stop_at(
    stopped: asyncio.Event, *signals: signal.Signals, again: signal.Handlers = signal.SIG_DFL
) -> None:
    """Set `stopped` at the first of these signals; the second ends the process as it stands, or
    what `again` says."""
    loop = asyncio.get_running_loop()

    def first(number: signal.Signals) -> None:
        for each in signals:
            loop.remove_signal_handler(each)
            signal.signal(each, again)
        log.info("stopping at %s", number.name)
        systemd.stopping()
        stopped.set()

    for number in signals:
        loop.add_signal_handler(number, first, number)


def reload_at_hangup(reload: Reload, read: Callable[[], ServerConfig]) -> None:
    """Take over what `read` gives at each SIGHUP, one after the other."""
    last: asyncio.Task[None] | None = None

    async def run(before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        systemd.reloading()
        await reload(read)
        systemd.ready()

    def hung_up() -> None:
        nonlocal last
        last = asyncio.create_task(run(last), name="reload")

    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)
