"""A new file, written block by block: through the page cache, or past it to the disk.

Thousands of modules that nobody is about to read would push out of the cache what is read often,
and copying them into it costs more than hashing them.
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

ALIGNED = 4096  # bytes: what blocks, and their places in memory, have to be multiples of

# Of smaller files the disk's answer would be waited for as long as for large ones.
_LEAST = 1 << 20


class FileWriter:
    """Has to be closed.  What was written can be read at once, by whatever way it went.

    `past_cache`: as far as the file system can, of a file of about `size` bytes; what is no
    multiple of `ALIGNED` goes through the cache even so.
    """

    def __init__(self, path: Path, size: int, *, past_cache: bool) -> None:
        self._past_cache = past_cache and size >= _LEAST
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        if self._past_cache:
            try:
                self._descriptor = os.open(path, flags | os.O_DIRECT, 0o666)
                return
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                self._past_cache = False  # the file system has no such way
        self._descriptor = os.open(path, flags, 0o666)

    def write(self, block: memoryview) -> None:
        """The next bytes of the file, all of them.  Raises `OSError`."""
        while block:
            block = block[self._write_some(block) :]

    def close(self) -> None:
        os.close(self._descriptor)

    def _write_some(self, block: memoryview) -> int:
        """How many of the bytes are written: one at least."""
        whole = len(block) - len(block) % ALIGNED
        if self._past_cache and whole:
            try:
                return os.write(self._descriptor, block[:whole])
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise  # else the disk has larger sectors, or an earlier write was cut short
        if self._past_cache:
            self._past_cache = False
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT)
        return os.write(self._descriptor, block)
