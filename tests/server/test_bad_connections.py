"""Clients that are slow, silent, gone or too many: a real server goes on serving the others."""

from __future__ import annotations

import contextlib
import resource
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from tests.live_server import LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for

MODULE = f"/buildid/{module_build_id(0)}/debuginfo"
# What one client may take is not the subject here.
UNLIMITED = "large_answers = 0\nlarge_answers_per_client = 0"
REQUEST = f"GET {MODULE} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@contextlib.contextmanager
def connections(server: LiveServer, count: int) -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(server.address, timeout=30))
            for _ in range(count)
        ]


def open_files(server: LiveServer) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))


def open_sockets(server: LiveServer) -> int:
    """Apart from files, of which each thread that asks the index opens some."""
    found = 0
    for link in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += str(link.readlink()).startswith("socket:")
    return found


def memory(server: LiveServer) -> int:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize()


def hung_up(client: socket.socket) -> bool:
    try:
        while client.recv(1 << 20):
            pass
    except ConnectionError:
        pass
    return True


def test_who_says_nothing_or_only_half_of_it_is_let_go(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path, "idle_seconds = 1") as server, connections(server, 3) as clients:
        silent, halting, idle = clients
        idle.sendall(REQUEST)
        assert idle.recv(1 << 16).startswith(b"HTTP/1.1 200")
        halting.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        with contextlib.suppress(ConnectionError):
            for number in range(40):
                halting.sendall(b"X-%d: y\r\n" % number)
                time.sleep(0.1)
        assert all(hung_up(client) for client in (silent, halting, idle))
        assert server.ask(MODULE).status == 200


def test_a_body_that_does_not_come_is_not_waited_for(tmp_path: Path) -> None:
    with live_server(tmp_path, "idle_seconds = 1") as server, connections(server, 1) as clients:
        clients[0].sendall(
            b"POST /api/v1/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"
        )
        answer = clients[0].recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 408 ") and b"body-too-slow" in answer


def test_readers_that_take_nothing_cost_little_and_are_let_go(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=30_000_000)
    with live_server(tmp_path, f"stall_seconds = 2\n{UNLIMITED}") as server:
        assert len(server.ask(MODULE).body) > 30_000_000
        before, files = memory(server), open_files(server)
        with connections(server, 60) as clients:
            for client in clients:
                client.sendall(REQUEST)
            wait_for(lambda: open_files(server) >= files + 60)
            assert memory(server) - before < 60 << 20, "less than a megabyte for each"
            assert server.ask("/healthz").status == 200
            wait_for(lambda: open_files(server) <= files)


def test_clients_that_vanish_leave_nothing_behind(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=30_000_000)
    with live_server(tmp_path, UNLIMITED) as server:
        server.ask("/healthz")
        before = open_sockets(server)
        for _ in range(5):
            with connections(server, 20) as clients:
                for client in clients:
                    client.sendall(REQUEST)
                    client.recv(1000)
                    # Closed with what was not read, it is reset.
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wait_for(lambda: open_sockets(server) <= before)
        assert len(server.ask(MODULE).body) > 30_000_000
        assert not server.logged("Traceback") and not server.logged("ERROR")


def test_thousands_of_idle_connections(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    count = 2000
    _allow_files(count + 200)
    with live_server(tmp_path) as server:
        before = memory(server)
        with connections(server, count):
            assert server.ask(MODULE).status == 200
            wait_for(lambda: open_files(server) > count)
            assert server.ask(MODULE).status == 200
            assert (memory(server) - before) / count < 40_000
        wait_for(lambda: open_files(server) < count)


def _allow_files(count: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, hard), hard))


def test_more_connections_than_descriptors(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    limits = (256, 256)
    with live_server(
        tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    ) as server:
        with connections(server, 200) as clients:
            for client in clients[:50]:
                client.sendall(REQUEST)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
            assert clients[-1].recv(1 << 16).startswith(b"HTTP/1.1 503")
            for client in clients[:50]:
                client.sendall(REQUEST)
                assert client.recv(1 << 16).startswith(b"HTTP/1.1 200"), "who is in is served"
        wait_for(lambda: server.ask(MODULE).status == 200)
        assert not server.logged("Traceback")
