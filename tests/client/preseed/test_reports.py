"""What a run is said to have come to: exit status, JUnit, JSON, table; and the lock file."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.client.amounts import parse_bytes, parse_seconds
from kernsym.client.preseed import lock
from kernsym.client.preseed.entries import BadLine
from kernsym.client.preseed.items import Item, State, exit_status, state_of
from kernsym.client.preseed.junit import junit
from kernsym.client.preseed.view import as_json, table, totals
from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    KernsymError,
    NotIdentified,
    NotPublished,
    Package,
    PackageRef,
    Refused,
    Role,
    Unusable,
    identify,
)
from tests import fleet

KERNEL = fleet.debian(9)
BAD = BadLine(where="list:3", text="hello \x07\ud800", reason="it is nothing")
REF = PackageRef(
    package=Package(
        role=Role.DEBUGINFO, id=KERNEL.package, name="x", version=KERNEL.version, arch="amd64"
    ),
    url="http://mirror.example/pool/x.deb",
    origin="mirror.example",
    why="",
    size=1000,
    sha256="ab" * 32,
)


def item(state: State, error: KernsymError | None = None) -> Item:
    return Item(
        asked=KERNEL.banner,
        where=("list:1",),
        count=7,
        fingerprint=Fingerprint(banner=KERNEL.banner),
        state=state,
        kernel=identify(Fingerprint(banner=KERNEL.banner)).kernel,
        packages=(REF,),
        problem=error,
    )


@pytest.mark.parametrize(
    ("states", "status", "tolerant"),
    [
        ((), 0, 0),
        ((State.HELD, State.FETCHED, State.PLANNED), 0, 0),
        ((State.HELD, State.UNPUBLISHED), 4, 0),
        ((State.UNPUBLISHED, State.UNIDENTIFIED), 3, 0),
        ((State.UNIDENTIFIED, State.LEFT), 5, 5),
        ((State.UNPUBLISHED, State.UNKNOWN), 5, 5),
        ((State.UNKNOWN, State.REFUSED, State.UNPUBLISHED), 6, 6),
        ((State.REFUSED, State.FAULT), 1, 1),
    ],
)
def test_the_gravest_is_the_status(states: tuple[State, ...], status: int, tolerant: int) -> None:
    items = [item(state) for state in states]
    assert exit_status(items, []) == status
    assert exit_status(items, [], allow_missing=True) == tolerant


def test_a_bad_line_is_no_kernel_of_anybody() -> None:
    assert exit_status([], [BAD]) == 3 and exit_status([], [BAD], allow_missing=True) == 0


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (NotIdentified, State.UNIDENTIFIED),
        (NotPublished, State.UNPUBLISHED),
        (CouldNotFindOut, State.UNKNOWN),
        (Refused, State.REFUSED),
        (KernsymError, State.FAULT),
    ],
)
def test_the_outcomes_stay_apart(kind: type[KernsymError], state: State) -> None:
    assert state_of(kind("x", "x")) is state


def test_junit_is_what_ci_reads_whatever_a_list_holds() -> None:
    error = NotPublished("not-published", "no <source> has \x1b it", context=("a: no",), hint="b")
    items = [item(State.FETCHED), item(State.UNPUBLISHED, error), item(State.LEFT)]
    items.append(item(State.UNKNOWN, CouldNotFindOut("mirror-timeout", "silence")))
    root = ElementTree.fromstring(junit(items, [BAD]))
    (suite,) = root
    assert root.tag == "testsuites" and suite.tag == "testsuite"
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "2", "errors": "1", "skipped": "1"}
    kinds = [[child.tag for child in case] for case in suite]
    assert kinds == [["system-out"], ["failure"], ["skipped"], ["error"], ["failure"]]
    failure = suite[1][0]
    assert failure.get("message") == "no <source> has ? it"
    assert failure.get("type") == "not-published" and "hint: b" in (failure.text or "")
    assert suite[0].get("name") == KERNEL.key and suite[0].get("time") == "0.000"


def test_json_and_table_tell_sizes_of_what_is_to_come_alone() -> None:
    items = [item(State.PLANNED), item(State.HELD)]
    answer = json.loads(as_json(items, [BAD], status=3))
    assert [one["fetch_bytes"] for one in answer["kernels"]] == [1000, 0]
    assert answer["totals"]["fetch_bytes"] == 1000 and answer["totals"]["machines"] == 14
    assert answer["kernels"][0]["packages"][0]["digest"] == f"sha256:{'ab' * 32}"
    _, planned, held = table(items)
    assert planned.startswith("to fetch") and "1 kB" in planned and "1 kB" not in held
    assert "1 line not understood" in totals(items, [BAD])


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "kernsym.lock"
    lock.write(path, [item(State.FETCHED), item(State.UNPUBLISHED)])
    text = path.read_text()
    lock.write(path, list(reversed([item(State.FETCHED), item(State.UNPUBLISHED)])))
    assert path.read_text() == text and text.count("[[kernel]]") == 1
    read = lock.read(path)
    (entry,) = read.entries()
    assert entry.fingerprint == Fingerprint(banner=KERNEL.banner)
    assert read.digests(item(State.PLANNED)) == (f"sha256:{'ab' * 32}",)


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (CouldNotFindOut("x", "silence"), True),
        (Refused("x", "other bytes"), True),
        (NotPublished("x", "nobody"), False),
    ],
)
def test_a_lock_does_not_shrink_because_a_mirror_was_away(
    tmp_path: Path, error: KernsymError, stays: bool
) -> None:
    path = tmp_path / "kernsym.lock"
    lock.write(path, [item(State.FETCHED)])
    text = path.read_text()
    unfound = replace(item(state_of(error), error), packages=())
    lock.write(path, [unfound], lock.read(path))
    assert (path.read_text() == text) is stays


@pytest.mark.parametrize(
    ("changed", "state", "code"),
    [
        (item(State.HELD), State.HELD, ""),
        (replace(item(State.PLANNED), packages=(replace(REF, sha256="cd" * 32),)),
         State.REFUSED, "lock-differs"),
        (replace(item(State.UNPUBLISHED, NotPublished("x", "nobody")), packages=()),
         State.REFUSED, "lock-gone"),
        (replace(item(State.UNKNOWN, CouldNotFindOut("x", "silence")), packages=()),
         State.UNKNOWN, "x"),
    ],
    ids=["same", "other digest", "gone", "silence"],
)  # fmt: skip
def test_a_lock_refuses_what_changed(
    tmp_path: Path, changed: Item, state: State, code: str
) -> None:
    path = tmp_path / "kernsym.lock"
    lock.write(path, [item(State.FETCHED)])
    (judged,) = lock.read(path).judge([changed])
    assert judged.state is state and (judged.problem.code if judged.problem else "") == code
    if state is State.REFUSED:
        assert judged.problem and KERNEL.package in str(
            (judged.problem.message, judged.problem.context)
        )


@pytest.mark.parametrize(
    "text",
    ["version = ", "version = 2", "version = 1\n[[kernel]]\nkey = 1\n", "kernel = 3",
     'version = 1\n[[kernel]]\nkey = "a"\npart = "symbols"\nask = {x = "y"}\npackage = []\n'],
)  # fmt: skip
def test_a_broken_lock_is_said_to_be(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kernsym.lock"
    path.write_text(text)
    with pytest.raises(Unusable):
        lock.read(path)


def test_amounts() -> None:
    assert [parse_bytes(text) for text in ("500", "1.5k", "2MB", "3GiB")] == [
        500,
        1500,
        2_000_000,
        3 << 30,
    ]
    assert [parse_seconds(text) for text in ("5", "1.5m", "2h", "1d")] == [5, 90, 7200, 86400]
