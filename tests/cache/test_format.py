"""The version of a store's layout: older ones are brought up to date, newer ones refused."""

from __future__ import annotations

import multiprocessing
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.format import FORMAT
from kernsym.distros import Unusable
from tests.cache.kernels import publish


def older(root: Path, kernels: int = 3) -> None:
    """A store as version 1 left it."""
    with closing(Store(root)) as store:
        for number in range(kernels):
            held = publish(store, number, sources=False, packages=False)
            store.uses.path(held.kernel.key).unlink()
            os.utime(store.tree.manifest(held.kernel.key), (1000 + number, 1000 + number))
    (root / "format").unlink()


def test_a_new_store_has_the_newest_format(tmp_path: Path) -> None:
    with closing(Store(tmp_path / "store")):
        assert (tmp_path / "store/format").read_text() == f"{FORMAT}\n"


def test_an_older_store_is_brought_up_to_date(tmp_path: Path) -> None:
    older(tmp_path / "store")
    for _ in range(2):
        with closing(Store(tmp_path / "store")) as store:
            held = list(store.bundles())
            assert [store.uses.last_use(one.kernel.key) for one in held] == [1000, 1001, 1002]
            assert all(store.uses.path(one.kernel.key).exists() for one in held)
    assert (tmp_path / "store/format").read_text() == f"{FORMAT}\n"


def _open(root: Path, deadly: int) -> None:
    """Migrate, and die by kill -9 at a rename."""
    real, count = os.replace, iter(range(100))

    def replace(*paths: object, **options: object) -> None:
        if next(count) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        real(*paths, **options)  # type: ignore[arg-type]

    os.replace = replace
    Store(root).close()


def test_a_migration_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    root = tmp_path / "store"
    older(root)
    context = multiprocessing.get_context("fork")
    for deadly in (0, 1, 1, 1):
        process = context.Process(target=_open, args=(root, deadly))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        older_still = not (root / "format").exists()
        assert older_still
    with closing(Store(root)) as store:
        held = list(store.bundles())
        assert [store.uses.last_use(one.kernel.key) for one in held] == [1000, 1001, 1002]


@pytest.mark.parametrize("text", [f"{FORMAT + 1}\n", "two", ""])
def test_a_newer_store_is_refused(tmp_path: Path, text: str) -> None:
    Store(tmp_path / "store").close()
    (tmp_path / "store/format").write_text(text)
    with pytest.raises(Unusable) as caught:
        Store(tmp_path / "store")
    assert caught.value.code == "store-newer"
