"""A store that may hold half of what four processes ask of it, all at once."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.upkeep.eviction import size_words
from kernsym.cache.usage import bytes_on_disk
from tests.cache.kernels import publish
from tests.conftest import KERNEL, WORLD, Kernsym, world_source
from tests.foreign_worlds import UBUNTU2204, UBUNTU2404, command, published
from tests.story import VMCORE
from tests.test_sharing import shared_server
from tests.upstream import UpstreamServer

LIMIT = 62_000_000  # the three kernels take 118 MB, the largest of them 61
DUMPS = (WORLD / "vmcore", UBUNTU2204.vmcore, UBUNTU2404.vmcore)
ROOT = Path(__file__).parent.parent


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Kernsym]:
    """The command with three worlds as its sources, and a limit."""
    with contextlib.ExitStack() as stack:
        sources = world_source(stack.enter_context(UpstreamServer(WORLD / "repo")).url)
        for world in (UBUNTU2204, UBUNTU2404):
            mirror = stack.enter_context(published(world, tmp_path / world.name))
            sources += mirror.sources()
        sources = sources.replace("[builtin]\nsources = false\n", "")
        yield command(tmp_path / "home", f'{sources}[store]\nmax_size = "{LIMIT}"\n')


def test_half_of_what_is_asked_of_it_under_load(limited: Kernsym) -> None:
    """Every kernel that is handed out is whole for as long as it is used."""
    environment = {**os.environ, **limited.environment, "PYTHONPATH": str(ROOT)}
    script = ROOT / "tests/store_load.py"
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(seed), "1", *DUMPS],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for seed in range(4)
    ]
    largest = 0
    try:
        while any(process.poll() is None for process in processes):
            largest = max(largest, bytes_on_disk(limited.store))
            time.sleep(0.1)
    finally:
        for process in processes:
            process.kill()
    told = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, told
    assert largest < 1.25 * LIMIT, size_words(largest)
    done = limited("gc")
    assert "still lacking" not in done.stderr
    assert bytes_on_disk(limited.store) <= LIMIT
    assert not list((limited.store / "locks/room").iterdir())
    assert limited("ls").stdout.strip()


def test_what_is_copied_from_a_server_keeps_to_the_limits_here(kernsym: Kernsym) -> None:
    kernsym.environment["KERNSYM_TOKEN"] = "s3cret"
    with shared_server(kernsym) as url:
        with contextlib.closing(Store(kernsym.store)) as store:
            old = publish(store, 1)
        config = kernsym.home / "kernsym.toml"
        config.write_text(f'{config.read_text()}[store]\nmax_size = "37M"\n')
        kernsym("--server", url, "fetch", VMCORE)
        kernsym("--server", url, "pin", KERNEL.uname, "--reason", "of the team")
        assert "pinned of the team" in kernsym("--server", url, "du").stdout
        kept = kernsym("--server", url, "gc", "--max-size", "1").stdout
        assert "pinned: of the team" in kept and KERNEL.key in kernsym("--server", url, "ls").stdout
    with contextlib.closing(Store(kernsym.store)) as store:
        assert store.bundle(old.kernel) is None, "it made room for what was copied"
        assert [held.kernel.key for held in store.bundles()] == [KERNEL.key]
