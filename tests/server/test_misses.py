"""Misses that are answered again, and what ends that."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kernsym.cache import Store
from tests.live_server import LiveServer, fill_store, live_server, module_build_id

PATH = f"/buildid/{module_build_id(0)}/debuginfo"
NOTE = "answer of a few seconds ago"


def remembered(server: LiveServer, **headers: Any) -> bool:
    answer = server.ask(PATH, **headers)
    assert answer.status == 404 and answer.json()["code"] == "not-held"
    assert answer.headers["Cache-Control"] == "max-age=60"
    return NOTE in answer.json()["context"]


def test_a_miss_is_answered_again_until_the_file_is_published(tmp_path: Path) -> None:
    Store(tmp_path / "store").close()
    with live_server(tmp_path) as server:
        assert [remembered(server) for _ in range(3)] == [False, True, True]
        assert server.ask(PATH, method="HEAD").status == 404
        fill_store(tmp_path / "store", modules=1)
        assert server.ask(PATH).status == 200


def test_what_another_server_asks_has_an_answer_of_its_own(tmp_path: Path) -> None:
    Store(tmp_path / "store").close()
    with live_server(tmp_path) as server:
        assert not remembered(server)
        assert not remembered(server, X_Forwarded_For="192.0.2.1")
        assert remembered(server)
