"""The mirror of our own tests: what it claims about ranges and failures is what it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.upstream import UpstreamServer

CONTENT = bytes(range(256)) * 1000


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[UpstreamServer]:
    (tmp_path / "a file").write_bytes(CONTENT)
    (tmp_path / "empty").write_bytes(b"")
    with UpstreamServer(tmp_path) as server:
        yield server


def test_whole_file_and_counters(upstream: UpstreamServer) -> None:
    for _ in range(2):
        assert requests.get(f"{upstream.url}/a%20file", timeout=5).content == CONTENT
    head = requests.head(f"{upstream.url}/a%20file", timeout=5)
    assert head.headers["Content-Length"] == str(len(CONTENT))
    assert requests.get(f"{upstream.url}/empty", timeout=5).content == b""
    assert upstream.hits == {"/a file": 3, "/empty": 1}
    assert upstream.bytes_sent == 2 * len(CONTENT)


@pytest.mark.parametrize(
    ("wanted", "status", "body", "place"),
    [
        ("bytes=0-9", 206, CONTENT[:10], "bytes 0-9/256000"),
        ("bytes=255990-", 206, CONTENT[-10:], "bytes 255990-255999/256000"),
        ("bytes=-5", 206, CONTENT[-5:], "bytes 255995-255999/256000"),
        ("bytes=255999-999999", 206, CONTENT[-1:], "bytes 255999-255999/256000"),
        ("bytes=256000-", 416, b"", "bytes */256000"),
        ("bytes=0-1,4-5", 200, CONTENT, None),
    ],
)
def test_ranges(
    upstream: UpstreamServer, wanted: str, status: int, body: bytes, place: str | None
) -> None:
    answer = requests.get(f"{upstream.url}/a file", headers={"Range": wanted}, timeout=5)
    assert (answer.status_code, answer.content) == (status, body)
    assert answer.headers.get("Content-Range") == place


def test_a_range_of_a_changed_file_is_the_whole_file(upstream: UpstreamServer) -> None:
    etag = requests.head(f"{upstream.url}/a file", timeout=5).headers["ETag"]
    (upstream.root / "a file").write_bytes(b"changed")
    headers = {"Range": "bytes=2-", "If-Range": etag}
    answer = requests.get(f"{upstream.url}/a file", headers=headers, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"changed")


def test_an_unchanged_file_is_not_sent_again(upstream: UpstreamServer) -> None:
    url = f"{upstream.url}/a file"
    etag = requests.head(url, timeout=5).headers["ETag"]
    answer = requests.get(url, headers={"If-None-Match": etag}, timeout=5)
    assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
    (upstream.root / "a file").write_bytes(b"changed")
    answer = requests.get(url, headers={"If-None-Match": etag}, timeout=5)
    assert (answer.status_code, answer.content) == (200, b"changed")


def test_a_guard_is_asked_first(upstream: UpstreamServer) -> None:
    upstream.guard = lambda request: None if request.headers.get("X-Key") == "right" else 401
    url = f"{upstream.url}/a file"
    locked = requests.get(url, timeout=5)
    assert (locked.status_code, locked.headers["WWW-Authenticate"]) == (401, "Basic")
    assert requests.get(url, headers={"X-Key": "right"}, timeout=5).content == CONTENT
    assert upstream.hits["/a file"] == 2


def test_nothing_outside_the_root(upstream: UpstreamServer) -> None:
    assert requests.get(f"{upstream.url}/%2e%2e/%2e%2e/etc/passwd", timeout=5).status_code == 404
    assert requests.get(f"{upstream.url}/", timeout=5).status_code == 404


def test_a_cut_answer_ends_early(upstream: UpstreamServer) -> None:
    upstream.cut_after = 1000
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{upstream.url}/a file", timeout=5)
    assert upstream.bytes_sent == 1000


def test_failing_twice_then_working(upstream: UpstreamServer) -> None:
    upstream.status_for = lambda path, hit: 503 if hit <= 2 else None
    codes = [requests.get(f"{upstream.url}/a file", timeout=5).status_code for _ in range(3)]
    assert codes == [503, 503, 200]


def test_a_slow_answer_takes_its_time(upstream: UpstreamServer) -> None:
    upstream.rate = 1_000_000
    start = time.monotonic()
    assert requests.get(f"{upstream.url}/a file", timeout=5).content == CONTENT
    assert time.monotonic() - start >= 0.2
