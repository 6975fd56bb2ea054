"""Kills the command, with its server, at random moments, and looks at what is left."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from contextlib import closing
from pathlib import Path

from kernsym.cache import FileRole, Store
from kernsym.cache.bundle import decode
from kernsym.cache.locks import is_held
from tests.conftest import KERNEL, Kernsym
from tests.processes import wait_for
from tests.story import VMCORE

# What is killed; the first ones most often.
COMMANDS: tuple[tuple[str | Path, ...], ...] = (
    ("fetch", "--sources", "--all-modules", VMCORE),
    ("fetch", VMCORE),
    ("rm", KERNEL.uname),
    ("gc", "--max-size", "30M"),
    ("verify", "--repair"),
)


def kill_at_random(kernsym: Kernsym, rounds: int, seed: int) -> None:
    """Rounds of one command each, which is killed before its end or comes to it."""
    chance = random.Random(seed)
    began = time.monotonic()
    kernsym(*COMMANDS[0])
    longest = 1.1 * (time.monotonic() - began)
    for _ in range(rounds):
        command = chance.choices(COMMANDS, weights=(6, 3, 2, 2, 1))[0]
        process = kernsym.start(*command)
        try:
            process.communicate(timeout=chance.uniform(0.1, longest))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert_nothing_is_half_visible(kernsym.store)
    kernsym("verify", "--repair")
    kernsym(*COMMANDS[0])
    assert "0 faults" in kernsym("verify").stderr
    assert not list((kernsym.store / "removed").glob("*"))


def assert_nothing_is_half_visible(root: Path) -> None:
    """All that a manifest names is there and right, and all that is found is in a manifest."""
    locks = root / "locks"
    wait_for(lambda: not any(is_held(path) for path in locks.rglob("*") if path.is_file()))
    for manifest in root.glob("kernels/*/*/*/*/manifest.json"):
        for file in decode(manifest.read_bytes()).files:
            path = manifest.parent / file.path
            if file.role is FileRole.SOURCE_TREE:
                sizes = (one.stat().st_size for one in path.rglob("*") if one.is_file())
                assert sum(sizes) == file.size, path
            else:
                assert hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256, path
    with closing(Store(root)) as store:
        for link in (root / ".build-id").glob("*/*.debug"):
            held = store.find_build_id(f"{link.parent.name}{link.stem}")
            assert held is None or held.path.is_file(), link
