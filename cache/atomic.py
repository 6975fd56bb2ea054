"""Files that readers see whole or not at all: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from kernsym.cache.durable import sync_folder


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace `path` with `data`; a crash or a full disk leaves the old content."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        Path(name).replace(path)
        sync_folder(path.parent)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(name).unlink()
        raise


def replace_link(link: Path, target: Path) -> None:
    """Point the symbolic link `link` at `target`, relative so that a store can be moved."""
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    beside.symlink_to(os.path.relpath(target, link.parent))
    beside.replace(link)
