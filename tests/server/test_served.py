"""Headers that are asked with, as tables: ranges, conditions, encodings, names of sources."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.server.served.conditions import Verdict, allows_range, evaluate
from kernsym.server.served.encodings import choose
from kernsym.server.served.ranges import parse_ranges
from kernsym.server.served.source_names import place_in_tree

THEN = "Thu, 01 Feb 2024 00:00:00 GMT"
SECONDS = 1706745600
LATER = "Thu, 01 Feb 2024 00:00:01 GMT"
BEFORE = "Wed, 31 Jan 2024 23:59:59 GMT"


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=2-5", [(2, 4)]),
        ("bytes=4-", [(4, 6)]),
        ("bytes=-3", [(7, 3)]),
        ("bytes=-30", [(0, 10)]),
        ("bytes=8-100", [(8, 2)]),
        ("bytes=0-999999999999999999", [(0, 10)]),
        ("BYTES= 1-2 , 4-5", [(1, 2), (4, 2)]),
        ("bytes=,1-2,,4-5,", [(1, 2), (4, 2)]),
        ("bytes=6-7,0-1", [(6, 2), (0, 2)]),  # in the order of the header
        ("bytes=6-9,0-7", [(0, 10)]),  # what overlaps is one
        ("bytes=0-9,0-9,0-9", [(0, 10)]),
        ("bytes=0-1,50-60", [(0, 2)]),  # what has no byte is left out
        ("bytes=10-", []),
        ("bytes=-0", []),
        ("bytes=10-20,30-40", []),
        # These mean nothing, and the whole is sent.
        ("bytes=5-2", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=0-1;x", None),
        ("bytes=1-2,x", None),
        ("bytes=--1", None),
        ("bytes=0-1-2", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 5000 + "-", None),
        ("bytes=" + ",".join(["0-0"] * 1000), None),
        ("items=0-1", None),
        ("", None),
        ("0-1", None),
    ],
)
def test_ranges(header: str, spans: list[tuple[int, int]] | None) -> None:
    found = parse_ranges(header, 10)
    assert (None if found is None else [(span.first, span.size) for span in found]) == spans


@given(st.text("bytes=-,0123456789 ", max_size=60), st.integers(0, 10**12))
def test_no_header_asks_for_more_than_there_is(header: str, size: int) -> None:
    spans = parse_ranges("bytes=" + header, size)
    assert sum(span.size for span in spans or ()) <= size
    assert all(0 <= span.first < span.end <= size for span in spans or ())


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, Verdict.SEND),
        ({"If-None-Match": '"e"'}, Verdict.NOT_MODIFIED),
        ({"If-None-Match": 'W/"e"'}, Verdict.NOT_MODIFIED),
        ({"If-None-Match": '"a", W/"b" ,"e"'}, Verdict.NOT_MODIFIED),
        ({"If-None-Match": "*"}, Verdict.NOT_MODIFIED),
        ({"If-None-Match": '"other"'}, Verdict.SEND),
        ({"If-None-Match": '"e-gzip"'}, Verdict.SEND),
        ({"If-None-Match": "e"}, Verdict.SEND),
        ({"If-None-Match": '"other"', "If-Modified-Since": THEN}, Verdict.SEND),  # tags count
        ({"If-Modified-Since": THEN}, Verdict.NOT_MODIFIED),
        ({"If-Modified-Since": LATER}, Verdict.NOT_MODIFIED),
        ({"If-Modified-Since": BEFORE}, Verdict.SEND),
        ({"If-Modified-Since": "yesterday"}, Verdict.SEND),
        ({"If-Modified-Since": "Thu, 01 Feb 99999 00:00:00 GMT"}, Verdict.SEND),
        ({"If-Match": '"e"'}, Verdict.SEND),
        ({"If-Match": 'W/"e"'}, Verdict.FAILED),
        ({"If-Match": '"other"'}, Verdict.FAILED),
        ({"If-Match": '"e"', "If-Unmodified-Since": BEFORE}, Verdict.SEND),
        ({"If-Unmodified-Since": BEFORE}, Verdict.FAILED),
        ({"If-Unmodified-Since": THEN}, Verdict.SEND),
    ],
)
def test_conditions(headers: dict[str, str], verdict: Verdict) -> None:
    assert evaluate(headers, "e", SECONDS) is verdict


@pytest.mark.parametrize(
    ("if_range", "allowed"),
    [
        (None, True),
        ('"e"', True),
        ('W/"e"', False),  # a weak one does not vouch for bytes
        ('"e-zstd"', False),
        (THEN, True),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_a_part_is_sent_of_the_same_content_only(if_range: str | None, allowed: bool) -> None:
    assert allows_range(if_range, "e", SECONDS) is allowed


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("deflate, gzip, br, zstd", "zstd"),  # curl
        ("gzip, deflate", "gzip"),
        ("GZIP", "gzip"),
        ("*", "zstd"),
        ("zstd;q=0.2, gzip;q=0.9", "gzip"),
        ("zstd;q=0, *", "gzip"),
        ("identity, zstd;q=0.5", None),  # rather as it is
        ("gzip;q=0", None),
        ("gzip;q=high", None),
        ("br, deflate", None),
        ("identity", None),
        ("", None),
        (";;,,q=1", None),
    ],
)
def test_encodings(header: str, encoding: str | None) -> None:
    assert choose(header) == encoding


UBUNTU = "/build/linux-T2PLQy/linux-5.15.0"
RHEL = "/usr/src/debug/kernel-4.18.0-553.el8_10/linux-4.18.0-553.el8_10.x86_64"
DEBIAN = "/build/reproducible-path/linux-6.1.192"


@pytest.mark.parametrize(
    ("prefix", "tree", "name", "place"),
    [
        ("", "", "fs/exec.c", "fs/exec.c"),
        ("", "", "/fs/exec.c", "fs/exec.c"),
        ("", "", "fs//./x/../exec.c", "fs/exec.c"),
        ("", "", "../../../etc/passwd", "etc/passwd"),  # the top is the end
        ("", "", "/..", ""),
        (UBUNTU, "/usr/src/linux-source-5.15.0", f"{UBUNTU}/fs/exec.c", "fs/exec.c"),
        (UBUNTU, "", f"{UBUNTU}/debian/build/x/../../../fs/exec.c", "fs/exec.c"),
        (UBUNTU, "", "/build/linux-T2PLQyX/linux-5.15.0/fs/exec.c", None),
        (UBUNTU, "", "/usr/include/stdio.h", None),
        (RHEL, RHEL, f"{RHEL}/fs/exec.c", "fs/exec.c"),
        ("", RHEL, f"{RHEL}/fs/exec.c", "fs/exec.c"),  # where the package has it, so has the DWARF
        (DEBIAN, "", f"{DEBIAN}/arch/x86/entry/entry_64.S", "arch/x86/entry/entry_64.S"),
        (DEBIAN, "", f"{DEBIAN}/debian/build/build_amd64_none_amd64/init/main.c", "init/main.c"),
        ("", "", "/debian/build/build_amd64_none_amd64/init/main.c", "init/main.c"),
    ],
)
def test_names_of_sources(prefix: str, tree: str, name: str, place: str | None) -> None:
    expected = name.lstrip("/") if place is None else place
    assert place_in_tree(name, prefix, tree) == expected
