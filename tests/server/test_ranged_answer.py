"""What a mirror may answer to a range, and what its ranges are refused for."""

from __future__ import annotations

from typing import Any

import pytest

from kernsym.server.mirrors.ranged_answer import (
    Entity,
    RangesUnusable,
    request_headers,
    require_range,
)

URL = "https://me:secret@mirror.example/a.deb?token"
KNOWN = Entity(size=1000, etag='"one"', modified="Tue, 14 May 2024 10:00:00 GMT")
FINE = {"Content-Range": "bytes 100-199/1000", "Content-Length": "100", "ETag": '"one"'}


def ask(status: int = 206, known: Entity | None = KNOWN, **headers: str | None) -> Entity:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    sent: dict[str, Any] = {**FINE, **named}
    sent = {name: value for name, value in sent.items() if value is not None}
    return require_range(URL, status, sent, 100, 199, known)


@pytest.mark.parametrize(
    ("etag", "modified", "asked_with"),
    [
        ('"one"', "Tue", '"one"'),
        ('W/"one"', "Tue", "Tue"),
        ("", "Tue", "Tue"),
    ],
)
def test_if_range_is_asked_with_what_vouches_for_bytes(
    etag: str, modified: str, asked_with: str
) -> None:
    entity = Entity(size=1000, etag=etag, modified=modified)
    assert request_headers(0, 9, None) == {"Range": "bytes=0-9"}
    assert request_headers(0, 9, entity) == {"Range": "bytes=0-9", "If-Range": asked_with}


@pytest.mark.parametrize("known", [None, KNOWN])
def test_the_range_that_was_asked_for_is_fine(known: Entity | None) -> None:
    assert ask(known=known) == Entity(size=1000, etag='"one"', modified="")


def test_a_file_may_end_before_the_range_does() -> None:
    assert ask(known=None, Content_Range="bytes 100-149/150", Content_Length="50").size == 150


def test_an_answer_to_if_range_may_leave_out_what_it_was_asked_with() -> None:
    assert ask(ETag=None).size == 1000


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("it answered 200 instead of 206", {"status": 200, "known": None}),
        ("the package changed", {"status": 200}),
        ("it answered 416 instead of 206", {"status": 416, "Content_Range": "bytes */50"}),
        ("it answered 404 instead of 206", {"status": 404}),
        ("compressed once more", {"Content_Encoding": "gzip"}),
        (
            "which range",
            {"Content_Range": None, "Content_Type": "multipart/byteranges; boundary=x"},
        ),
        ("which range", {"Content_Range": "bytes 100-199/*"}),
        ("which range", {"Content_Range": "bytes 100-/1000"}),
        ("which range", {"Content_Range": "items 100-199/1000"}),
        ("which range", {"Content_Range": f"bytes 100-199/{'9' * 40}"}),
        ("another range", {"Content_Range": "bytes 0-99/1000"}),
        ("another range", {"Content_Range": "bytes 101-200/1000"}),
        ("another range", {"Content_Range": "bytes 100-198/1000", "Content_Length": "99"}),
        ("another range", {"Content_Range": "bytes 100-200/1000", "Content_Length": "101"}),
        ("another range", {"Content_Range": "bytes 100-99/100", "known": None}),
        ("99 bytes as a range of 100", {"Content_Length": "99"}),
        ("1000 bytes as a range of 100", {"Content_Length": "1000"}),
        ("the package changed", {"Content_Range": "bytes 100-199/1001"}),
        ("the package changed", {"ETag": '"two"'}),
        ("the package changed", {"ETag": 'W/"one"'}),
        ("the package changed", {"Last_Modified": "Wed, 15 May 2024 10:00:00 GMT"}),
        ("by which a change", {"known": None, "ETag": None}),
        ("by which a change", {"known": None, "ETag": 'W/"one"'}),
    ],
)
def test_anything_else_is_refused(words: str, answer: dict[str, Any]) -> None:
    with pytest.raises(RangesUnusable, match=words) as refused:
        ask(**answer)
    assert refused.value.code == "ranges-unusable"
    assert "secret" not in str(refused.value.context) and "token" not in str(refused.value.context)
