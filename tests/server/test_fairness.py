"""A storm of large downloads leaves room for the others: the real server, real connections."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

from tests.live_server import LiveServer, fill_store, live_server, module_build_id

LARGE = 12 << 20
LIMITS = "large_answers = 6\nlarge_answers_per_client = 4"
HEAD_OF_200 = b"HTTP/1.1 200"


@contextlib.contextmanager
def slow_reader(server: LiveServer, path: str) -> Iterator[socket.socket]:
    """Asks for a file and takes nothing of it."""
    with socket.socket() as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(server.address)
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        yield line


def begun(line: socket.socket, seconds: float) -> bool:
    """Whether the answer begins within that time."""
    line.settimeout(seconds)
    try:
        return line.recv(len(HEAD_OF_200), socket.MSG_PEEK) == HEAD_OF_200
    except TimeoutError:
        return False


def ask_from(server: LiveServer, address: str, path: str) -> tuple[int, int]:
    """Status and size of the answer to a client with this address."""
    line = http.client.HTTPConnection(*server.address, timeout=20, source_address=(address, 0))
    with contextlib.closing(line):
        line.request("GET", path)
        answer = line.getresponse()
        return answer.status, len(answer.read())


def test_slow_readers_of_large_files_leave_room(tmp_path: Path) -> None:
    bundle = fill_store(tmp_path / "store", modules=1, module_bytes=LARGE)
    large = f"/buildid/{module_build_id(0)}/debuginfo"
    small = f"/buildid/{bundle.verification.build_id}/debuginfo"
    with live_server(tmp_path, LIMITS) as server, contextlib.ExitStack() as storm:
        readers = [storm.enter_context(slow_reader(server, large)) for _ in range(8)]
        assert all(begun(line, 20) for line in readers[:4])
        waiting = [line for line in readers[4:] if not begun(line, 0.3)]
        assert len(waiting) == 4, "more than its share of large answers has to wait"
        for address in ("127.0.0.1", "127.0.0.2"):
            status, size = ask_from(server, address, small)
            assert status == 200 and size < 1 << 20, address
            assert ask_from(server, address, "/api/v1/kernels")[0] == 200
        assert ask_from(server, "127.0.0.2", large)[0] == 200, "it has its own share"
        for line in readers[:4]:
            line.close()
        assert all(begun(line, 20) for line in waiting), "their turn has come"


def test_a_client_that_asks_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    settings = "requests_per_second = 0.1\nrequests_burst = 5"
    with live_server(tmp_path, settings) as server:
        answers = [server.ask("/api/v1/kernels") for _ in range(7)]
        assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
        assert answers[-1].json()["code"] == "too-many-requests"
        assert ask_from(server, "127.0.0.2", "/api/v1/kernels")[0] == 200
        assert server.ask("/healthz").status == 200, "who watches over it is not counted"
