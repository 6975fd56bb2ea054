"""What systemd and the server say to each other: sockets handed over, and how the service is.

As in sd_listen_fds(3) and sd_notify(3); without systemd all of it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time

_FIRST_DESCRIPTOR = 3


def inherited_sockets() -> list[socket.socket]:
    """The listening sockets that were handed over; they are given out once."""
    meant_for = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if meant_for != str(os.getpid()) or not count.isdigit():
        return []
    found = []
    for descriptor in range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)):
        os.set_inheritable(descriptor, False)
        found.append(socket.socket(fileno=descriptor))
    return found


def ready() -> None:
    """Say that the server answers, at the start or after a reload."""
    _notify("READY=1")


def reloading() -> None:
    _notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")


def stopping() -> None:
    _notify("STOPPING=1")


def _notify(state: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    address = "\0" + path[1:] if path.startswith("@") else path
    with (
        contextlib.suppress(OSError),
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel,
    ):
        channel.connect(address)
        channel.sendall(state.encode())
