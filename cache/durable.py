"""What a manifest promises is on the disk before the manifest is: it outlives a loss of power."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Collection
from pathlib import Path

# More files than this are written with everything else that their file system has still in memory:
# one flush of the disk for all of them, where each file would cost one of its own.
_MOST_SINGLE = 32

_LIBC = ctypes.CDLL(None, use_errno=True)


def make_durable(paths: Collection[Path], *, below: Path) -> None:
    """Have the disk keep these files and trees, and their names in the folders from `below` down.

    Raises `OSError`, also for a file that is not there.
    """
    if not paths:
        return
    if len(paths) > _MOST_SINGLE or any(path.is_dir() for path in paths):
        for path in paths:
            path.lstat()
        _sync_file_system(below)
        return
    for path in paths:
        _sync(path)
    folders = {parent for path in paths for parent in path.parents if parent.is_relative_to(below)}
    for folder in folders:
        _sync(folder)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder, as far as its file system can be told to."""
    try:
        _sync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EROFS):
            raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_file_system(folder: Path) -> None:
    """syncfs(2), which Python does not have; since Linux 5.8 it tells of failed writes."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
