"""Locks between processes that end with their holder, however it ends: flock(2).

The kernel drops the lock with the last descriptor, kill -9 included, so nothing has to expire.
The holder writes its process id into the file, for the message of those who wait.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2


@contextmanager
def hold(
    path: Path,
    *,
    on_wait: Callable[[int | None], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[None]:
    """Hold the lock at `path`, waiting for it as long as `stop()` is false.

    `on_wait` is called once with the holder's process id (None: unknown) if there is a wait.
    Raises `InterruptedError` when `stop()` turned true first.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        told = on_wait is None
        while not _try(descriptor):
            if not told and on_wait is not None:
                on_wait(_holder(descriptor))
                told = True
            if stop():
                raise InterruptedError(f"gave up waiting for {path.name}")
            time.sleep(_POLL_SECONDS)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(descriptor: int) -> int | None:
    text = os.pread(descriptor, 32, 0).split()
    return int(text[0]) if text and text[0].isdigit() else None
