"""`/readyz`: what is short is named, and what a server does not need is not asked for."""

from __future__ import annotations

from pathlib import Path

from kernsym.cache import Store
from kernsym.server.watch.readiness import shortcomings
from tests.live_server import live_server
from tests.processes import wait_for


def test_a_server_on_a_good_store_is_ready(tmp_path: Path) -> None:
    with live_server(tmp_path, "least_free_mb = 1\ntoken_for_reads = true") as server:
        wait_for(lambda: server.ask("/readyz").status == 200)
        assert server.ask("/readyz").json()["status"] == "ready"


def test_what_is_short_is_said(tmp_path: Path) -> None:
    with live_server(tmp_path, f"least_free_mb = {1 << 40}") as server:
        answer = server.ask("/readyz")
        assert answer.status == 503
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["code"] == "not-ready" and "MB are free" in problem["context"][-1]
        assert server.ask("/healthz").status == 200
    with live_server(tmp_path, f"least_free_mb = {1 << 40}", arguments=("--offline",)) as server:
        assert server.ask("/readyz").status == 200, "it will bring nothing"


def test_a_store_that_takes_no_files(store: Store) -> None:
    store.mend_index()
    assert not list(shortcomings(store, least_free=0))
    store.root.rename(store.root.with_name("gone"))
    assert "No such file" in next(shortcomings(store, least_free=0))


def test_an_index_that_is_being_made_anew(store: Store) -> None:
    (line,) = shortcomings(store, least_free=0)
    assert line.startswith("index")
