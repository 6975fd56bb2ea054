"""How a running server takes signals: it ends gracefully, at once, or reads its configuration."""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import BANNER, DEBUG_PACKAGE, world_source
from tests.live_server import TOKEN, LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for
from tests.upstream import UpstreamServer

MODULE = f"/buildid/{module_build_id(0)}/debuginfo"
BODY = json.dumps({"fingerprint": {"banner": BANNER}, "modules": []}).encode()
AUTHORIZED: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
WORKERS = pytest.mark.parametrize("settings", ["", "workers = 2"])


def post_symbols(server: LiveServer) -> tuple[int, dict[str, Any]]:
    answer = server.ask("/api/v1/symbols", method="POST", body=BODY, **AUTHORIZED)
    return answer.status, answer.json()


@WORKERS
def test_a_running_answer_is_finished_and_nothing_new_begun(tmp_path: Path, settings: str) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=30_000_000)
    with live_server(tmp_path, settings) as server:
        connection = http.client.HTTPConnection(*server.address, timeout=30)
        connection.request("GET", MODULE)
        answer = connection.getresponse()
        size = int(answer.headers["Content-Length"])
        begun = answer.read(1000)
        server.process.terminate()
        wait_for(lambda: not accepts(server))
        assert server.process.poll() is None, "it waits for the reader"
        assert len(begun) + len(answer.read()) == size
        connection.close()
        assert server.process.wait(20) == 0


def accepts(server: LiveServer) -> bool:
    try:
        socket.create_connection(server.address, timeout=5).close()
    except OSError:
        return False
    return True


@WORKERS
def test_a_reader_who_stays_is_waited_for_only_so_long(tmp_path: Path, settings: str) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=30_000_000)
    with live_server(tmp_path, f"shutdown_seconds = 0.2\n{settings}") as server, reader_of(server):
        server.process.terminate()
        assert server.process.wait(20) == 0


@contextlib.contextmanager
def reader_of(server: LiveServer) -> Iterator[None]:
    """Somebody who asked for much and reads nothing more of it."""
    with socket.create_connection(server.address) as reader:
        reader.sendall(f"GET {MODULE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert reader.recv(1000).startswith(b"HTTP/1.1 200")
        yield


@WORKERS
def test_a_second_signal_ends_it_at_once(tmp_path: Path, settings: str) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=30_000_000)
    settings = f"shutdown_seconds = 600\n{settings}"
    with live_server(tmp_path, settings, ends=None) as server, reader_of(server):
        server.process.send_signal(signal.SIGINT)
        wait_for(lambda: server.logged("stopping at SIGINT"))
        server.process.send_signal(signal.SIGINT)
        server.process.wait(20)


@WORKERS
def test_a_job_is_handed_to_the_next_server(
    tmp_path: Path, mirror: UpstreamServer, settings: str
) -> None:
    mirror.rate = 500_000
    with live_server(tmp_path, settings, mirror=mirror.url) as server:
        status, job = post_symbols(server)
        assert status == 202
        path = f"/api/v1/jobs/{job['id']}/events"
        follower = threading.Thread(target=server.ask, args=(path,), kwargs=AUTHORIZED)
        follower.start()
        wait_for(lambda: mirror.bytes_sent > 1_000_000)
    follower.join(10)
    assert not follower.is_alive(), "who followed it was let go"
    first = mirror.bytes_sent
    mirror.rate = None
    with live_server(tmp_path, settings, mirror=mirror.url) as server:
        wait_for(lambda: post_symbols(server)[0] == 200)
        shown = server.ask(f"/api/v1/jobs/{job['id']}", **AUTHORIZED).json()
        assert shown["state"] == "done"
    assert mirror.hits[DEBUG_PACKAGE] == 2
    assert mirror.bytes_sent - first < first + 8_000_000, "what had come was not asked for again"


@WORKERS
def test_a_hangup_brings_the_new_configuration(
    tmp_path: Path, mirror: UpstreamServer, settings: str
) -> None:
    with live_server(tmp_path, settings) as server:
        _, job = post_symbols(server)
        assert end_of(server, job)["problem"]["code"] == "not-published"
        config = tmp_path / "kernsym.toml"
        config.write_text(
            f'[server]\nlog_level = "debug"\nidle_seconds = 3\n{settings}\n'
            + world_source(mirror.url)
        )
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.logged("changed: idle_seconds, log_level, sources"))
        assert server.logged("idle_seconds: holds from the next start")
        _, job = post_symbols(server)
        assert end_of(server, job)["kind"] == "done"


def end_of(server: LiveServer, job: dict[str, Any]) -> dict[str, Any]:
    path = f"/api/v1/jobs/{job['id']}/events"
    stream = server.ask(path, **AUTHORIZED).body.decode()
    last: dict[str, Any] = json.loads(stream.strip().splitlines()[-1][6:])
    return last


@WORKERS
def test_a_broken_configuration_changes_nothing(tmp_path: Path, settings: str) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path, settings) as server:
        (tmp_path / "kernsym.toml").write_text("[server]\nlisten = 7\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.logged("the configuration stays as it was"))
        assert server.logged("listen")
        assert server.ask(MODULE).status == 200


def test_requests_are_no_longer_logged_at_a_higher_level(tmp_path: Path) -> None:
    with live_server(tmp_path) as server:
        server.ask("/healthz")
        wait_for(lambda: server.logged("/healthz"))
        (tmp_path / "kernsym.toml").write_text('[server]\nlog_level = "warning"\n')
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.logged("sources: ") or server.ask("/metrics").status == 200)
        time.sleep(0.5)
        before = server.log.read_text()
        server.ask("/healthz")
        time.sleep(0.5)
        assert server.log.read_text() == before
