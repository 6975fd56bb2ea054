"""The server as systemd's service: its socket handed over, and what it tells."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.live_server import live_server

WORKERS = pytest.mark.parametrize("settings", ["", "workers = 2"])


@WORKERS
@pytest.mark.parametrize("abstract", [False, True])
def test_it_tells_how_it_is(tmp_path: Path, settings: str, abstract: bool) -> None:
    name = f"kernsym-{os.getpid()}-{len(settings)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(f"\0{name}" if abstract else str(tmp_path / "notify"))
        channel.settimeout(30)
        address = f"@{name}" if abstract else str(tmp_path / "notify")
        with live_server(tmp_path, settings, env={"NOTIFY_SOCKET": address}) as server:
            assert channel.recv(1000) == b"READY=1"
            server.process.send_signal(signal.SIGHUP)
            told = channel.recv(1000).split(b"\n")
            assert told[0] == b"RELOADING=1" and told[1].startswith(b"MONOTONIC_USEC=")
            assert channel.recv(1000) == b"READY=1"
            server.process.terminate()
            assert channel.recv(1000) == b"STOPPING=1"


@WORKERS
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_it_listens_on_sockets_that_it_is_handed(
    tmp_path: Path, settings: str, family: socket.AddressFamily
) -> None:
    with socket.socket(family) as listening:
        listening.bind(str(tmp_path / "s") if family == socket.AF_UNIX else ("127.0.0.1", 0))
        listening.listen()
        with live_server(
            tmp_path,
            settings,
            before=("sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh"),
            close_fds=False,
            preexec_fn=lambda: os.dup2(listening.fileno(), 3),
        ) as server:
            if family == socket.AF_UNIX:
                assert server.url == f"http+unix:{tmp_path / 's'}"
            else:
                assert server.address == listening.getsockname()
            with socket.socket(family) as client:
                client.connect(listening.getsockname())
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 200 OK")


def test_sockets_meant_for_another_process_are_left_alone(tmp_path: Path) -> None:
    with live_server(tmp_path, env={"LISTEN_PID": "1", "LISTEN_FDS": "1"}) as server:
        assert server.ask("/healthz").status == 200
