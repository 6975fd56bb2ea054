"""Kernels in use: shared between processes, ended by kill -9, respected by those who remove."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from contextlib import closing
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.locks import Busy, hold
from kernsym.cache.upkeep import Limits, Room, collect
from tests.cache.kernels import BLOCK, publish
from tests.processes import wait_for

SPAWN = multiprocessing.get_context("spawn")


def _use(root: Path, key: str, ready: Path) -> None:
    with closing(Store(root)) as store, store.uses.using(key):
        ready.touch()
        time.sleep(60)


def test_a_use_ends_with_its_holder_even_by_kill(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        held = publish(store, 1)
        ready = tmp_path / "ready"
        holder = SPAWN.Process(target=_use, args=(store.root, held.kernel.key, ready))
        holder.start()
        try:
            wait_for(ready.exists)
            with store.uses.using(held.kernel.key):
                pass  # several may
            store.uses.let_go()
            with pytest.raises(Busy):
                store.removal.evict(held)
            assert holder.pid is not None
            os.kill(holder.pid, signal.SIGKILL)
            holder.join()
            store.removal.evict(held)
            assert store.bundle(held.kernel) is None
        finally:
            holder.kill()


def test_a_use_is_the_last_use(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        held = publish(store, 1)
        key = held.kernel.key
        os.utime(store.uses.path(key), (1000, 1000))
        assert store.uses.last_use(key) == 1000
        store.uses.note(key)
        assert time.time() - store.uses.last_use(key) < 60
        store.uses.path(key).unlink()
        assert time.time() - store.uses.last_use(key) < 60, "the manifest's time stands in"


def test_a_noted_kernel_stays_for_a_while(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        held = publish(store, 1)
        store.uses.note(held.kernel.key)
        store.uses.let_go(3600)
        assert not collect(store, Limits(max_size=0)).removed
        store.uses.let_go(0)
        assert collect(store, Limits(max_size=0)).removed


def test_who_waited_for_a_lock_of_a_removed_kernel_has_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path):
        path.unlink()
        with hold(path):
            inode = path.stat().st_ino
    assert path.stat().st_ino == inode


def test_room_is_taken_from_what_nobody_uses(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        first, second = publish(store, 1), publish(store, 2)
        used = collect(store, Limits(max_size=10**9), plan=True).used
        room = Room(store=store, limits=Limits(max_size=used))
        with store.uses.using(first.kernel.key), room.reserved("a/b/c/d", 2 * BLOCK + BLOCK // 2):
            assert store.bundle(first.kernel) is not None
            assert store.bundle(second.kernel) is None, "no less would have been enough"


def test_two_do_not_count_on_the_same_room(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")) as store:
        used = collect(store, Limits(max_size=10**9), plan=True).used
        room = Room(store=store, limits=Limits(max_size=used + 3 * BLOCK))
        told: list[str] = []
        with room.reserved("a/b/c/d", 2 * BLOCK):
            polls = iter([False, True])
            with (
                pytest.raises(InterruptedError),
                room.reserved("a/b/c/e", 2 * BLOCK, on_wait=told.append, stop=lambda: next(polls)),
            ):
                pass
        assert told and "waiting for room" in told[0]
        with room.reserved("a/b/c/e", 2 * BLOCK):
            pass
        assert not list((store.root / "locks/room").iterdir())


def test_a_store_whose_kernels_are_all_pinned_goes_beyond_its_size_and_says_so(
    tmp_path: Path,
) -> None:
    with closing(Store(tmp_path / "store")) as store:
        held = publish(store, 1)
        store.marks.pin(held.kernel.key)
        told: list[str] = []
        room = Room(store=store, limits=Limits(max_size=1))
        with room.reserved("a/b/c/d", BLOCK, on_wait=told.append):
            assert "beyond its limit" in told[0]
