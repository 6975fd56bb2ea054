"""A server of several processes: one fetch, one set of numbers, and no wrong body when one dies."""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import BANNER, DEBUG_PACKAGE
from tests.live_server import TOKEN, LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for
from tests.server.test_metrics import scrape
from tests.upstream import UpstreamServer

BODY = json.dumps({"fingerprint": {"banner": BANNER}, "modules": ["overlay"]}).encode()
BEARER = f"Bearer {TOKEN}"


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ask_symbols(server: LiveServer) -> tuple[int, dict[str, object]]:
    answer = server.ask("/api/v1/symbols", method="POST", body=BODY, Authorization=BEARER)
    return answer.status, answer.json()


def events(server: LiveServer, job: object) -> list[dict[str, object]]:
    stream = server.ask(f"/api/v1/jobs/{job}/events", Authorization=BEARER).body.decode()
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith("data: ")]


def test_whichever_worker_is_asked_there_is_one_fetch(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    with live_server(tmp_path, "workers = 3", mirror=mirror.url) as server:
        asked = [ask_symbols(server) for _ in range(12)]
        jobs = {str(answer["id"]) for status, answer in asked if status == 202}
        assert len(jobs) == 1
        (job,) = jobs
        assert events(server, job)[-1]["kind"] == "done"
        found = [ask_symbols(server) for _ in range(6)]
        assert {status for status, _ in found} == {200}, (found, server.log.read_text())
        build_id = found[0][1]["kernel"]["build_id"]  # type: ignore[index]
        for _ in range(6):
            head = server.ask(f"/buildid/{build_id}/debuginfo", method="HEAD")
            assert head.status == 200 and int(head.headers["Content-Length"]) > 100_000
    assert mirror.hits[DEBUG_PACKAGE] == 1


def test_what_the_fetcher_answers_comes_through_whole(tmp_path: Path) -> None:
    with live_server(tmp_path, "workers = 2") as server:
        missing = server.ask("/buildid/" + "ee" * 20 + "/debuginfo", X_Request_ID="mine")
        assert missing.status == 404 and missing.json()["code"] == "not-held"
        assert missing.headers["X-Request-ID"] == "mine"
        assert missing.headers["Content-Type"] == "application/problem+json"
        refused = server.ask("/api/v1/symbols", method="POST", body=BODY)
        assert refused.status == 401 and refused.headers["WWW-Authenticate"]
        broken = server.ask("/api/v1/symbols", method="POST", body=b"{", Authorization=BEARER)
        assert broken.status == 400
        wait_for(lambda: server.logged("mine"))
        assert server.log.read_text().count("request=mine") == 1, "one line a request"


def test_one_scrape_shows_the_numbers_of_all(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path, "workers = 2") as server:
        for _ in range(40):
            assert server.ask(f"/buildid/{module_build_id(0)}/debuginfo").status == 200
        key = ("kernsym_requests_total", "GET", "/buildid/{id}/debuginfo", "200")
        wait_for(lambda: scrape(server).get(key) == 40)
        shown = {key[1] for key in scrape(server) if key[0] == "kernsym_worker_memory_bytes"}
        assert shown == {"worker 1", "worker 2"}


def test_a_killed_worker_is_replaced_and_no_body_is_wrong(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", modules=1, module_bytes=3_000_000)
    with live_server(tmp_path, "workers = 2") as server:
        path = f"/buildid/{module_build_id(0)}/debuginfo"
        right = server.ask(path).body
        seen: Counter[str] = Counter()
        over = threading.Event()
        readers = [
            threading.Thread(target=read_on, args=(server, path, right, seen, over))
            for _ in range(4)
        ]
        for reader in readers:
            reader.start()
        for _ in range(4):
            wait_for(partial(more_whole, seen, seen["whole"] + 5))
            os.kill(worker_of(server), signal.SIGKILL)
        wait_for(partial(more_whole, seen, seen["whole"] + 20))
        over.set()
        for reader in readers:
            reader.join()
        assert seen["wrong"] == 0
        assert server.log.read_text().count("ended with signal 9") == 4
        wait_for(lambda: len(children(server.process.pid)) == 3)


def read_on(
    server: LiveServer, path: str, right: bytes, seen: Counter[str], over: threading.Event
) -> None:
    while not over.is_set():
        try:
            answer = server.ask(path)
        except (OSError, http.client.HTTPException):
            seen["cut"] += 1
        else:
            seen["whole" if (answer.status, answer.body) == (200, right) else "wrong"] += 1


def more_whole(seen: Counter[str], than: int) -> bool:
    return seen["whole"] > than


def worker_of(server: LiveServer) -> int:
    """One of the workers; the fetcher is the first that was started."""
    wait_for(lambda: len(children(server.process.pid)) == 3)
    return max(children(server.process.pid))


def test_a_killed_fetcher_is_replaced_and_its_job_goes_on(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    mirror.rate = 400_000
    with live_server(tmp_path, "workers = 2", mirror=mirror.url) as server:
        status, job = ask_symbols(server)
        assert status == 202
        wait_for(lambda: mirror.hits[DEBUG_PACKAGE] == 1)
        fetcher = min(children(server.process.pid))
        os.kill(fetcher, signal.SIGKILL)
        mirror.rate = None
        wait_for(lambda: fetcher not in children(server.process.pid))
        assert events(server, job["id"])[-1]["kind"] == "done"
        assert ask_symbols(server)[0] == 200


def test_nobody_outlives_the_supervisor(tmp_path: Path) -> None:
    with live_server(tmp_path, "workers = 2", ends=-signal.SIGKILL) as server:
        below = children(server.process.pid)
        assert len(below) == 3
        server.process.kill()
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in below))


def test_all_end_together_and_leave_nothing(tmp_path: Path) -> None:
    runtime = tmp_path / "run"
    runtime.mkdir()
    with live_server(tmp_path, "workers = 2", env={"RUNTIME_DIRECTORY": str(runtime)}) as server:
        below = children(server.process.pid)
        (folder,) = runtime.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not any(Path(f"/proc/{pid}").exists() for pid in below)
    assert not list(runtime.iterdir())
    assert not server.logged("WARNING")


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(AssertionError) as caught, live_server(tmp_path, "workers = 2"):
        pass
    assert "error[store-unusable]" in str(caught.value)
    assert "error[start-failed]" in str(caught.value)
