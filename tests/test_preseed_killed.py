"""A preseed that is killed again and again, against mirrors of which some are bad: the end is
right, and what had come did not come twice."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from kernsym.cache import FileRole, Store
from kernsym.server.binaries.verify import read_identity
from tests import fleet
from tests.conftest import Kernsym
from tests.fleet import FleetKernel
from tests.foreign_worlds import command
from tests.processes import embedded_servers, wait_for
from tests.upstream import UpstreamServer

GOOD = [fleet.debian(number) for number in range(20, 30)]
ELSEWHERE = [fleet.debian(number) for number in range(30, 33)]  # wrong at one mirror, right at two
HANGING = [fleet.debian(number) for number in range(33, 35)]  # at one mirror, not at the other
WRONG = [fleet.debian(number) for number in range(35, 37)]  # wherever they are
MISSING = [fleet.debian(number) for number in range(37, 39)]  # announced, and not there
PURGED = [fleet.debian(number) for number in range(39, 41)]
PUBLISHED = [*GOOD, *ELSEWHERE, *HANGING, *WRONG, *MISSING]
EXPECTED = {
    **{kernel.key: {"held"} for kernel in (*GOOD, *ELSEWHERE, *HANGING)},
    **{kernel.key: {"refused"} for kernel in WRONG},
    **{kernel.key: {"unknown"} for kernel in MISSING},
    **{kernel.key: {"unpublished"} for kernel in PURGED},
}
PADDING = 60_000
KILLS = 5


def hang(request: BaseHTTPRequestHandler) -> int | None:
    """Say nothing about some packages, for longer than a client waits."""
    if any(request.path == f"/{kernel.path}" for kernel in HANGING):
        time.sleep(3)
    return None


@pytest.fixture
def first(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "first"
    fleet.publish(root, PUBLISHED, padding=PADDING)
    spoil(root)
    for kernel in ELSEWHERE:
        damage(root / kernel.path)
    with UpstreamServer(root, guard=hang) as server:
        yield server


@pytest.fixture
def second(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "second"
    fleet.publish(root, PUBLISHED, padding=PADDING)
    spoil(root)
    with UpstreamServer(root) as server:
        yield server


def spoil(root: Path) -> None:
    for kernel in WRONG:
        damage(root / kernel.path)
    for kernel in MISSING:
        (root / kernel.path).unlink()


def damage(path: Path) -> None:
    """Other bytes than the list announces, as many."""
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 1
    path.write_bytes(body)


def test_killed_at_random_it_ends_right(
    tmp_path: Path, first: UpstreamServer, second: UpstreamServer
) -> None:
    both = fleet.source(first.url) + fleet.source(second.url)
    kernsym = command(tmp_path / "home", "")
    configure(kernsym, fleet.source("http://127.0.0.1:1") + both)
    path = kernsym.home / "fleet.txt"
    path.write_text("\n".join(kernel.banner for kernel in (*PUBLISHED, *PURGED)))
    first.rate = second.rate = 100_000.0
    chance = random.Random(6)
    for _ in range(KILLS):
        kill_soon(kernsym, path, chance.uniform(1.0, 4.0))
    first.rate = second.rate = None
    found = states(kernsym, path, status=5)
    there = [*GOOD, *ELSEWHERE, *HANGING]
    assert {key for key, state in found.items() if state == "unknown"} == {
        *(kernel.key for kernel in (*WRONG, *MISSING, *PURGED))
    }, "while a mirror is dead, nobody knows that it does not have them"
    assert_held(kernsym, there)
    for kernel in GOOD:
        # Each kill can cost a request for the rest; what has come whole is not asked for again.
        asked = first.hits[f"/{kernel.path}"] + second.hits[f"/{kernel.path}"]
        assert 1 <= asked <= 1 + KILLS
    first.hits.clear()
    second.hits.clear()
    configure(kernsym, both)
    found = states(kernsym, path, status=6)
    assert {key: state for key, state in found.items() if state not in EXPECTED[key]} == {}
    assert not any(first.hits[f"/{one.path}"] + second.hits[f"/{one.path}"] for one in there)
    assert_held(kernsym, there)


def configure(kernsym: Kernsym, sources: str) -> None:
    patience = "[server]\nmirror_seconds = 0.5\nmirror_attempts = 2\n"
    (kernsym.home / "kernsym.toml").write_text(f"{patience}[builtin]\nsources = false\n{sources}")


def states(kernsym: Kernsym, path: Path, *, status: int) -> dict[str, str]:
    answer = json.loads(kernsym("preseed", path, "--json", status=status).stdout)
    return {one["kernel"]: one["state"] for one in answer["kernels"]}


def kill_soon(kernsym: Kernsym, path: Path, seconds: float) -> None:
    """Run it, and kill it and its server."""
    process = kernsym.start("preseed", path, "--at-once", "4")
    time.sleep(seconds)
    for pid in (process.pid, *embedded_servers(kernsym)):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=30)
    wait_for(lambda: not embedded_servers(kernsym))


def assert_held(kernsym: Kernsym, kernels: list[FleetKernel]) -> None:
    """Exactly these are held, each with its own vmlinux; nothing else is visible."""
    with closing(Store(kernsym.store)) as store:
        bundles = {bundle.kernel.key: bundle for bundle in store.bundles()}
        assert set(bundles) == {kernel.key for kernel in kernels}
        for kernel in kernels:
            bundle = bundles[kernel.key]
            file = bundle.first(FileRole.VMLINUX)
            assert file is not None
            identity = read_identity(store.folder(bundle.kernel) / file.path)
            assert (identity.banner, identity.build_id) == (kernel.banner, kernel.build_id)
