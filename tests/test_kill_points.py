"""kill -9 at random moments, and a disk that fills up at chosen ones."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import KERNEL, Kernsym
from tests.killing import assert_nothing_is_half_visible, kill_at_random
from tests.processes import wait_for
from tests.story import VMCORE

ROUNDS = 10  # tests/bench/kills.py does as many as one likes


def test_killed_at_random_nothing_is_half_visible(kernsym: Kernsym) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    kill_at_random(kernsym, ROUNDS, seed)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


# What appears when the work has come so far.
MOMENTS = (
    "kernels/*/*/*/*/packages/*.part",
    "kernels/*/*/*/*/root/**/.vmlinux*.part",
    "kernels/*/*/*/*/root/**/*.ko",
    "kernels/*/*/*/*/root/.sources.part",
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
def test_a_disk_that_fills_up_at_any_moment_leaves_nothing_half(kernsym: Kernsym) -> None:
    ballast = kernsym.store / "ballast"
    with small_disk(kernsym.store):
        for moment in MOMENTS:
            process = kernsym.start("fetch", "--sources", "--all-modules", VMCORE)
            with contextlib.suppress(AssertionError):  # it was quicker
                wait_for(lambda m=moment: any(kernsym.store.glob(m)), 15)  # type: ignore[misc]
            with contextlib.suppress(OSError), ballast.open("wb") as file:
                while file.write(bytes(1 << 16)):
                    file.flush()
            _, told = process.communicate(timeout=60)
            assert process.returncode == 0 or "error[" in told, told
            assert "error[fault]" not in told and "Traceback" not in told, told
            ballast.unlink()
            assert_nothing_is_half_visible(kernsym.store)
            if moment != MOMENTS[-1]:
                kernsym("rm", KERNEL.uname, status=None)
        kernsym("fetch", "--sources", "--all-modules", VMCORE)
        kernsym("verify", "--repair")
        assert "0 faults" in kernsym("verify").stderr
