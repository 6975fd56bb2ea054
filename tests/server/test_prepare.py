"""Who makes prepared copies: alone, in the background, leaving nothing half made."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, FileRole, Store
from kernsym.server.config import Options
from kernsym.server.prepare import copying
from kernsym.server.prepare.background import Preparer
from kernsym.server.prepare.copying import failure, is_wanted, prepare
from tests.conftest import KERNEL
from tests.processes import wait_for

SLOW_GDB = """#!/bin/sh
case "$*" in *--version*) exec {gdb} "$@";; esac
echo begun > {mark}
sleep {seconds}
exec {gdb} "$@"
"""


@pytest.fixture
def held(world_home: Path, tmp_path: Path) -> Iterator[Store]:
    """A store of its own with the world's kernel; vmlinux is shared, nobody writes it."""
    shutil.copytree(
        world_home / "store/kernels",
        tmp_path / "store/kernels",
        copy_function=os.link,
        ignore=shutil.ignore_patterns("packages", "modules", "src", "prepared"),
    )
    with contextlib.closing(Store(tmp_path / "store")) as store:
        yield store


def bundle_of(store: Store) -> Bundle:
    return next(filter(None, [store.bundle(KERNEL)]))


def start(store: Store, path: str = os.environ["PATH"]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "kernsym.server.prepare", str(store.root), KERNEL.key],
        env={**os.environ, "PATH": path},
        start_new_session=True,
    )


def slow_gdb(folder: Path, seconds: int) -> tuple[str, Path]:
    """A PATH whose gdb takes its time, and the file that shows that it was begun."""
    (folder / "bin").mkdir()
    gdb, mark = folder / "bin/gdb", folder / "begun"
    gdb.write_text(SLOW_GDB.format(gdb=shutil.which("gdb"), mark=mark, seconds=seconds))
    gdb.chmod(0o755)
    return f"{folder}/bin:{os.environ['PATH']}", mark


def test_a_copy_is_made_beside_the_original(held: Store) -> None:
    vmlinux = next(filter(None, [bundle_of(held).first(FileRole.VMLINUX)]))
    assert is_wanted(held, bundle_of(held), 0)
    assert not is_wanted(held, bundle_of(held), vmlinux.size)
    assert prepare(held, bundle_of(held))
    copy = next(filter(None, [bundle_of(held).usable_copy()]))
    assert (copy.of, copy.by[:4]) == (vmlinux.sha256, "gdb ")
    path = held.folder(KERNEL) / copy.path
    assert path.stat().st_size == copy.size
    assert list(path.parent.iterdir()) == [path]
    assert not is_wanted(held, bundle_of(held), 0)
    link = held.find_build_id(bundle_of(held).verification.build_id or "")
    assert link is not None
    assert link.file == vmlinux, "the original alone answers for the build ID"


def test_what_is_not_whole_or_of_another_vmlinux_is_not_used(held: Store) -> None:
    assert prepare(held, bundle_of(held))
    bundle = bundle_of(held)
    copy = next(filter(None, [bundle.usable_copy()]))
    assert replace(bundle, prepared=replace(copy, of="0" * 64)).usable_copy() is None
    os.truncate(held.folder(KERNEL) / copy.path, copy.size - 1)
    assert is_wanted(held, bundle, 0), "it is made again"
    assert prepare(held, bundle)
    assert (held.folder(KERNEL) / copy.path).stat().st_size == copy.size


def test_a_maker_that_is_killed_leaves_nothing_that_counts(held: Store, tmp_path: Path) -> None:
    path, mark = slow_gdb(tmp_path, 60)
    maker = start(held, path)
    wait_for(mark.exists)
    os.killpg(maker.pid, signal.SIGKILL)
    maker.wait()
    folder = held.folder(KERNEL) / "prepared"
    assert list(folder.iterdir()), "it was at work"
    (folder / ".vmlinux.part").write_bytes(b"half")
    assert bundle_of(held).prepared is None
    assert start(held).wait() == 0
    copy = next(filter(None, [bundle_of(held).usable_copy()]))
    assert list(folder.iterdir()) == [folder.parent / copy.path], "what it left is gone"


def test_of_two_makers_one_works(held: Store, tmp_path: Path) -> None:
    path, mark = slow_gdb(tmp_path, 2)
    first = start(held, path)
    wait_for(mark.exists)
    assert start(held).wait() == 1, "the second one sees that somebody is at it"
    assert first.wait() == 0
    assert bundle_of(held).usable_copy()


def test_a_kernel_that_was_removed_does_not_come_back(held: Store, tmp_path: Path) -> None:
    path, mark = slow_gdb(tmp_path, 2)
    maker = start(held, path)
    wait_for(mark.exists)
    held.remove(bundle_of(held))
    assert maker.wait() == 1
    assert held.bundle(KERNEL) is None
    assert not held.folder(KERNEL).exists()


def test_a_failure_is_not_tried_again_at_once(held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "write_prepared", lambda *_: (_ for _ in ()).throw(OSError(28)))
    assert not prepare(held, bundle_of(held))
    assert "while writing" in failure(held, bundle_of(held))
    assert not is_wanted(held, bundle_of(held), 0)
    os.utime(held.folder(KERNEL) / "prepared/failed", (0, 0))
    assert is_wanted(held, bundle_of(held), 0)


def test_without_gdb_nothing_is_begun(held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert not prepare(held, bundle_of(held))
    assert not (held.folder(KERNEL) / "prepared").exists()


@pytest.mark.parametrize("lasting", [True, False])
def test_a_server_ends_what_it_began_if_it_lasts(
    held: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    path, mark = slow_gdb(tmp_path, 2)
    monkeypatch.setenv("PATH", path)
    preparer = Preparer(held, Options(prepare_above_mb=0), lasting=lasting)
    with preparer.working():
        preparer.consider(KERNEL)
        wait_for(mark.exists)
    lock = held.lock(KERNEL, "prepared")
    with lock:  # whoever was at it has ended
        assert (bundle_of(held).usable_copy() is None) is lasting


def test_a_disk_that_is_full_is_told(held: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "_MARGIN", 1 << 60)
    assert not prepare(held, bundle_of(held))
    assert "are needed" in failure(held, bundle_of(held))
