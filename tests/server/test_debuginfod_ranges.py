"""Conditions and ranges of the debuginfod addresses, asked of a server process."""

from __future__ import annotations

from email.message import Message
from email.parser import BytesParser

import pytest

from tests.live_server import Answer, LiveServer
from tests.server.world_store import World


@pytest.fixture
def path(world: World) -> str:
    """Of a module, as an address."""
    return f"/buildid/{world.module('overlay').build_id}/debuginfo"


@pytest.fixture
def content(world: World) -> bytes:
    return world.content(world.module("overlay"))


def test_a_client_that_has_it_is_told_so(path: str, world_server: LiveServer) -> None:
    first = world_server.ask(path, method="HEAD")
    for headers in (
        {"If_None_Match": tag(first)},
        {"If_None_Match": f'"x", W/{tag(first)}'},
        {"If_Modified_Since": first.headers["Last-Modified"]},
    ):
        for method in ("GET", "HEAD"):
            answer = world_server.ask(path, method=method, **headers)
            assert answer.status == 304 and answer.body == b""
            assert tag(answer) == tag(first)
            assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
    assert world_server.ask(path, If_None_Match='"x"').status == 200
    refused = world_server.ask(path, If_Match='"x"')
    assert refused.status == 412 and refused.json()["code"] == "precondition-failed"


def test_a_part(path: str, content: bytes, world_server: LiveServer) -> None:
    size = len(content)
    for header, first, last in (
        ("bytes=0-0", 0, 0),
        ("bytes=1000-1999", 1000, 1999),
        (f"bytes={size - 5}-", size - 5, size - 1),
        ("bytes=-5", size - 5, size - 1),
        ("bytes=100-99999999999", 100, size - 1),
    ):
        answer = world_server.ask(path, Range=header, Accept_Encoding="zstd, gzip")
        assert answer.status == 206 and answer.body == content[first : last + 1]
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
        assert "Content-Encoding" not in answer.headers, "parts are of the file as it is"
        assert answer.headers["X-DEBUGINFOD-SIZE"] == str(size)


def test_several_parts(path: str, content: bytes, world_server: LiveServer) -> None:
    answer = world_server.ask(path, Range="bytes=-4,10-19,700000-700099")
    assert answer.status == 206 and int(answer.headers["Content-Length"]) == len(answer.body)
    size = len(content)
    assert parts_of(answer) == [
        (f"bytes {size - 4}-{size - 1}/{size}", content[-4:]),
        (f"bytes 10-19/{size}", content[10:20]),
        (f"bytes 700000-700099/{size}", content[700000:700100]),
    ]


def test_parts_that_there_are_not(path: str, content: bytes, world_server: LiveServer) -> None:
    for header in (f"bytes={len(content)}-", "bytes=-0", "bytes=999999999999-9999999999999"):
        answer = world_server.ask(path, Range=header)
        assert answer.status == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(content)}"
    for header in ("bytes=5-2", "lines=1-2", "bytes=" + "0-0," * 1000 + "0-0"):
        assert world_server.ask(path, Range=header).body == content


def test_a_part_only_of_what_the_client_began(path: str, world_server: LiveServer) -> None:
    first = world_server.ask(path, method="HEAD")
    for validator in (tag(first), first.headers["Last-Modified"]):
        assert world_server.ask(path, Range="bytes=4-", If_Range=validator).status == 206
    for validator in ('"other"', f"W/{tag(first)}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        whole = world_server.ask(path, Range="bytes=4-", If_Range=validator)
        assert whole.status == 200 and len(whole.body) == int(first.headers["Content-Length"])


def tag(answer: Answer) -> str:
    return answer.headers["ETag"]


def parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    """Range and content of each part of a multipart answer, as a mail program reads it."""
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    message = BytesParser().parsebytes(head + answer.body)
    assert message.get_content_type() == "multipart/byteranges"
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [_part(part) for part in parts if isinstance(part, Message)]


def _part(part: Message) -> tuple[str, bytes]:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return part["Content-Range"], content
