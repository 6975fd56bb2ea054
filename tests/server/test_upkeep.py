"""A server keeps its store within its limits, pins kernels, and tells what they take."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.live_server import KERNEL, TOKEN, LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for

AUTHORIZED: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}
PIN = f"/api/v1/kernels/{KERNEL.key}/pin"
MODULE = f"/buildid/{module_build_id(0)}/debuginfo"


def collect(server: LiveServer, **request: object) -> dict[str, Any]:
    body = json.dumps(request).encode()
    answer = server.ask("/api/v1/gc", method="POST", body=body, **AUTHORIZED)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json()
    return found


def test_pins_and_collections_over_http(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    nothing = {"max_size": 0}
    with live_server(tmp_path) as server:
        assert server.ask(PIN, method="PUT", body=b"{}").status == 401
        assert server.ask("/api/v1/gc", method="POST", body=b"{}").status == 401
        answer = server.ask("/api/v1/gc", method="POST", body=b"{}", **AUTHORIZED)
        assert answer.json()["code"] == "no-limits"
        assert collect(server, limits=nothing, plan=True)["removed"]
        pinned = server.ask(PIN, method="PUT", body=b'{"reason": "a case"}', **AUTHORIZED)
        assert pinned.json()["reason"] == "a case"
        (kept,) = collect(server, limits=nothing)["kept"]
        assert kept["why"] == "pinned: a case"
        refused = server.ask(f"/api/v1/kernels/{KERNEL.key}", method="DELETE", **AUTHORIZED)
        assert refused.status == 409 and refused.json()["code"] == "pinned"
        assert server.ask(PIN, method="DELETE", **AUTHORIZED).json() == {"was_pinned": True}
        assert server.ask(PIN, method="DELETE", **AUTHORIZED).json() == {"was_pinned": False}
        (kernel,) = server.ask("/api/v1/usage").json()["kernels"]
        assert kernel["usage"]["key"] == KERNEL.key and kernel["usage"]["pieces"]["modules"] > 0
        assert server.ask(MODULE).status == 200
        (kept,) = collect(server, limits=nothing)["kept"]
        assert kept["why"] == "in use", "whoever copies it file by file comes back for the rest"
        assert server.ask("/buildid/" + "0" * 39 + "9/debuginfo").status == 404


def test_a_server_keeps_its_limits_by_itself(tmp_path: Path) -> None:
    fill_store(tmp_path / "store", module_bytes=1_000_000)
    with live_server(tmp_path, store='max_size = "1M"') as server:
        wait_for(lambda: server.logged("removed kernel of"))
        assert server.ask(MODULE).status == 404
        assert server.ask("/api/v1/kernels").json()["kernels"] == []
        assert server.ask("/api/v1/usage").json()["limits"]["max_size"] == 1_000_000
