"""Files that readers see whole or not at all: written beside, synced, renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from kernsym.cache.durable import sync_folder


def is_special(path: Path) -> bool:
    """Whether a device or a pipe is there, in whose place nothing must be put."""
    return path.exists() and not path.is_file()


def open_beside(path: Path, *, mode: int = 0o666) -> tuple[int, Path]:
    """A new file in the folder of `path`, open for writing, that no reader takes for it; with the
    permissions that the umask leaves of `mode`."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    return os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), beside


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666) -> None:
    """Replace `path` with `data`; a crash or a full disk leaves the old content, and what is there
    when this returns outlives a loss of power.  `mode`: of which the umask takes away.  To a
    device or a pipe is written."""
    if is_special(path):
        path.write_bytes(data)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = open_beside(path, mode=mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def replace_link(link: Path, target: Path) -> None:
    """Point the symbolic link `link` at `target`, relative so that a store can be moved."""
    link.parent.mkdir(parents=True, exist_ok=True)
    beside = link.with_name(f".{link.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    beside.symlink_to(os.path.relpath(target, link.parent))
    beside.replace(link)
