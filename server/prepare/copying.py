"""Makes the prepared copy of one kernel's vmlinux and adds it to what is held."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Prepared, Store
from kernsym.distros import KernsymError
from kernsym.server.binaries.gdb_index import Gdb, find_gdb, make_index
from kernsym.server.binaries.prepared import require_copy, write_prepared
from kernsym.server.disk import require_room, writing

FOLDER = "prepared"
_FAILED = "failed"
_AGAIN_SECONDS = 86_400.0
_MARGIN = 1 << 30  # of the disk, left to those who do not work in the background


def is_wanted(store: Store, bundle: Bundle, least: int) -> bool:
    """Whether a copy shall be made: its vmlinux has more than `least` bytes and came of a package
    that was checked, there is no copy, and it did not fail a short time ago."""
    vmlinux = bundle.first(FileRole.VMLINUX)
    if vmlinux is None or vmlinux.size <= least or bundle.unchecked:
        return False
    folder = store.folder(bundle.kernel)
    copy = bundle.usable_copy()
    if copy is not None and _size(folder / copy.path) == copy.size:
        return False
    with contextlib.suppress(OSError):
        failed = (folder / FOLDER / _FAILED).stat().st_mtime
        return not 0 <= time.time() - failed < _AGAIN_SECONDS
    return True


def failure(store: Store, bundle: Bundle) -> str:
    """Why the last copy was not made; "" when none failed."""
    try:
        return (store.folder(bundle.kernel) / FOLDER / _FAILED).read_text()
    except OSError:
        return ""


def prepare(store: Store, bundle: Bundle) -> bool:
    """Make the copy, alone among all processes; whether it was made and is held now.

    A failure is written down, so that nobody tries again at once.
    """
    vmlinux, gdb = bundle.first(FileRole.VMLINUX), find_gdb()
    if vmlinux is None or gdb is None:
        return False
    folder = store.folder(bundle.kernel) / FOLDER
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(store.lock(bundle.kernel, FOLDER, stop=lambda: True))
        except InterruptedError:
            return False  # somebody is at it
        folder.mkdir(exist_ok=True)
        _tidy(folder)
        try:
            return _make(store, bundle, vmlinux, gdb)
        except KernsymError as error:
            with contextlib.suppress(OSError):
                (folder / _FAILED).write_text(f"{error.message}\n")
            return False
        finally:
            _tidy(folder)


def _make(store: Store, bundle: Bundle, vmlinux: BundleFile, gdb: Gdb) -> bool:
    original = store.folder(bundle.kernel) / vmlinux.path
    folder = store.folder(bundle.kernel) / FOLDER
    target = folder / original.name
    beside = folder / f".{original.name}.part"
    require_room(folder, vmlinux.size + _MARGIN)
    with writing(beside):
        copy = write_prepared(original, make_index(gdb, original, folder), beside)
    require_copy(original, beside)
    prepared = Prepared(
        path=f"{FOLDER}/{target.name}",
        size=copy.size,
        sha256=copy.sha256,
        of=vmlinux.sha256,
        by=gdb.title,
    )
    # Whoever removes the kernel holds this lock too: it must not come back by its copy.
    with store.lock(bundle.kernel, "symbols"):
        held = store.bundle(bundle.kernel)
        if held is None or held.first(FileRole.VMLINUX) != vmlinux:
            shutil.rmtree(folder, ignore_errors=True)
            return False
        beside.replace(target)
        (folder / _FAILED).unlink(missing_ok=True)
        store.publish(replace(held, prepared=prepared))
    return True


def _tidy(folder: Path) -> None:
    """Remove what was begun and not finished."""
    for path in folder.glob(".*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
