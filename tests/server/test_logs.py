"""The log of a real server: a line a request, in both forms, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from kernsym.server.watch.logs import JsonFormatter, LineHandler, TextFormatter
from tests.conftest import BANNER
from tests.conftest import KERNEL as WORLD_KERNEL
from tests.live_server import KERNEL, TOKEN, fill_store, live_server, module_build_id
from tests.processes import wait_for
from tests.upstream import UpstreamServer

MODULE = f"/buildid/{module_build_id(0)}/debuginfo"


def test_a_line_a_request_as_json(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path, 'log_format = "json"') as server:
        answer = server.ask(f"{MODULE}?token=hush", X_Request_ID="from-outside.1")
        assert answer.headers["X-Request-ID"] == "from-outside.1"
        missing = server.ask("/nothing%0aat-all", Authorization=f"Bearer {TOKEN}")
        made = missing.headers["X-Request-ID"]
        wait_for(lambda: server.logged(made))
        first, second = (line for line in server.lines() if line["logger"] == "request")
    assert (first["method"], first["path"], first["status"]) == ("GET", MODULE, 200)
    assert first["bytes"] >= len(answer.body) and 0 < first["seconds"] < 30
    assert (first["request"], first["client"]) == ("from-outside.1", "127.0.0.1")
    assert (second["path"], second["status"], second["request"]) == ("/nothing%0aat-all", 404, made)
    assert not server.logged("hush") and not server.logged(TOKEN)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "caf\u00e9"])
def test_an_id_that_is_not_sane_is_replaced(tmp_path: Path, given: str) -> None:
    with live_server(tmp_path) as server:
        made = server.ask("/healthz", X_Request_ID=given).headers["X-Request-ID"]
        assert made and made != given
        wait_for(lambda: server.logged("GET /healthz 200 "))
        assert server.logged(f"request={made} client=127.0.0.1")


def test_a_line_names_the_kernel_where_it_is_known(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path, 'log_format = "json"') as server:
        server.ask(f"/api/v1/kernels/{KERNEL.key}")
        server.ask("/healthz")
        wait_for(lambda: server.logged("/healthz"))
        requests = [line for line in server.lines() if line["logger"] == "request"]
    assert [line.get("kernel") for line in requests] == [KERNEL.key, None]


def test_lines_of_a_job_name_it_and_who_began_it(tmp_path: Path, mirror: UpstreamServer) -> None:
    body = json.dumps({"fingerprint": {"banner": BANNER}, "modules": []}).encode()
    with live_server(tmp_path, 'log_format = "json"', mirror=mirror.url) as server:
        answer = server.ask(
            "/api/v1/symbols",
            method="POST",
            body=body,
            Authorization=f"Bearer {TOKEN}",
            X_Request_ID="the-first",
        )
        job = answer.json()["id"]
        wait_for(lambda: server.logged("files held"))
        wait_for(lambda: server.logged("/api/v1/symbols"))
        lines = server.lines()
    about = [line for line in lines if line.get("job") == job]
    assert len(about) >= 3
    assert {line["kernel"] for line in about} == {WORLD_KERNEL.key}
    assert {line["request"] for line in about} == {"the-first"}
    (asked,) = (line for line in lines if line.get("path") == "/api/v1/symbols")
    assert asked["client"] == "server-token" and asked["status"] == 202


def test_lines_that_wait_come_before_the_next_other() -> None:
    stream = io.StringIO()
    handler = LineHandler(stream, "text")
    handler.later("request 1\n")
    handler.later("request 2\n")
    record = logging.makeLogRecord({"name": "jobs", "levelname": "INFO", "msg": "a job"})
    handler.handle(record)
    assert stream.getvalue().splitlines()[:2] == ["request 1", "request 2"]
    assert "INFO jobs: a job" in stream.getvalue().splitlines()[2]


def test_what_a_line_is_about_goes_with_it() -> None:
    about = {"kernel": "debian/x86_64/6.1/1", "job": "ab12"}
    record = logging.makeLogRecord({"name": "jobs", "levelname": "INFO", "msg": "m\udc80", **about})
    text = TextFormatter("%(message)s").format(record)
    assert text.endswith("kernel=debian/x86_64/6.1/1 job=ab12")
    line = json.loads(JsonFormatter().format(record))
    assert line["job"] == "ab12" and line["kernel"] == about["kernel"] and line["level"] == "info"
