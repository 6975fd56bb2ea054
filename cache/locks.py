"""Locks between processes that end with their holder, however it ends: flock(2).

The kernel drops the lock with the last descriptor, kill -9 included, so nothing has to expire.
The holder writes its process id into the file, for the message of those who wait.  Who holds a lock
alone may remove its file: whoever gets the lock of a file that is gone asks for it again.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

_POLL_SECONDS = 0.2
_NO_WRITING = (errno.EROFS, errno.EACCES, errno.EPERM)


class Busy(Exception):
    """Somebody else holds the lock."""


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
    told = on_wait is None
    while True:
        try:
            descriptor = try_lock(path)
            break
        except Busy:
            if not told and on_wait is not None:
                on_wait(_holder(path))
                told = True
            if stop():
                raise InterruptedError(f"gave up waiting for {path.name}") from None
            time.sleep(_POLL_SECONDS)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold_at_once(*paths: Path) -> Iterator[None]:
    """Hold all these locks, alone.  Raises `Busy` when somebody holds one of them."""
    with contextlib.ExitStack() as held:
        for path in paths:
            held.callback(os.close, try_lock(path))
        yield


def try_lock(path: Path, *, shared: bool = False) -> int:
    """A descriptor that holds the lock until it is closed.  One that is `shared` needs only a file
    that can be read.  Raises `Busy`, `OSError`."""
    while True:
        descriptor = _open(path, writable=not shared)
        try:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if _is_same(descriptor, path):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            raise Busy(path.name) from None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock, alone or shared; False where there is no such file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _open(path: Path, *, writable: bool) -> int:
    """The lock's file, made where there is none."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)
    except OSError as error:
        if writable or error.errno not in _NO_WRITING:
            raise
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether the file that was locked is still the one that others find."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _holder(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        return int(path.read_text().split()[0])
    return None
