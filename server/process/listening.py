"""The sockets that the server listens on: handed over by systemd, or its own."""

from __future__ import annotations

import contextlib
import resource
import socket
from pathlib import Path

from kernsym.distros import Unusable
from kernsym.server.config import ServerConfig
from kernsym.server.process.systemd import inherited_sockets

BACKLOG = 1024
_OTHER_FILES = 128  # the store's index, jobs, mirrors, and what Python has open


def listening_sockets(config: ServerConfig) -> list[socket.socket]:
    """At least one.  Raises `Unusable` (`cannot-listen`)."""
    spread = config.options.workers > 1
    sockets = inherited_sockets() or _own_sockets(config.host, config.port, spread=spread)
    return [_prepared(each, config) for each in sockets]


def like(listening: socket.socket, config: ServerConfig) -> socket.socket:
    """Another socket on the same address: the kernel spreads the connections over all of them.
    The same one where it was handed over, which nobody else may do."""
    if not is_spread(listening):
        return listening
    address = listening.getsockname()
    other = socket.create_server(address, family=listening.family, backlog=BACKLOG, reuse_port=True)
    return _prepared(other, config)


def is_spread(listening: socket.socket) -> bool:
    """Whether the address can have several sockets."""
    return bool(listening.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))


def unix_socket(path: Path) -> socket.socket:
    """A socket of our own at `path`, for who may enter its folder."""
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    found.bind(str(path))
    found.listen(BACKLOG)
    found.setblocking(False)
    return found


def url_of(listening: socket.socket, *, scheme: str = "http") -> str:
    """Where clients find it."""
    if listening.family == socket.AF_UNIX:
        return f"{scheme}+unix:{listening.getsockname()}"
    host, port = listening.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def allow_many_files() -> None:
    """Use as many descriptors as the process may: every connection is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def most_connections() -> int:
    """How many a process can have at once: each may also send a file."""
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max((most - _OTHER_FILES) // 2, 1)


def _prepared(listening: socket.socket, config: ServerConfig) -> socket.socket:
    listening.setblocking(False)
    if listening.family != socket.AF_UNIX:
        # Of the connections too: a reader who takes nothing for so long is gone.
        patience = int(config.options.stall_seconds * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)
    return listening


def _own_sockets(host: str, port: int, *, spread: bool) -> list[socket.socket]:
    found: list[socket.socket] = []
    try:
        resolved = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, address in dict.fromkeys((entry[0], entry[4]) for entry in resolved):
            found.append(
                socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=spread)
            )
    except OSError as error:
        for each in found:
            each.close()
        raise Unusable(
            "cannot-listen",
            f"cannot listen on {host}:{port}: {error.strerror}",
            hint="choose another address with --listen HOST:PORT",
        ) from error
    return found
