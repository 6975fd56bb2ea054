"""The bytes of a dump file by offset, whatever they are wrapped in; plain files are here."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from kernsym.distros import Unusable


class Content(Protocol):
    """Random access to what a format's offsets point into.

    `size` in bytes.  Reading past the end gives fewer bytes, never an error; what lies in a hole
    is zeros.  An I/O error raises `Unusable` (`dump-unreadable`).
    """

    @property
    def path(self) -> Path: ...

    @property
    def size(self) -> int: ...

    @property
    def missing(self) -> int | None:
        """Bytes known to be cut off; None: only what lies in the content can tell."""
        ...

    @property
    def concurrent(self) -> bool:
        """Whether several threads may read at once."""
        ...

    def read(self, offset: int, size: int) -> bytes: ...

    def read_into(self, offset: int, target: memoryview) -> int:
        """Fill `target`; the number of bytes that there were."""
        ...

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """The parts of [start, stop) that hold data: holes of a sparse file are left out."""
        ...

    def close(self) -> None: ...


class FileContent:
    """A regular file.  Raises `Unusable` when it is not there, not readable, empty or no file."""

    missing = None
    concurrent = True

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # A FIFO or a device must not be opened: that can block for ever.
            mode = path.stat().st_mode
            if not stat.S_ISREG(mode):
                raise _not_a_file(path, mode)
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError) as error:
            raise _cannot_open(path, error) from error
        self.size = os.fstat(self._descriptor).st_size
        if self.size == 0:
            self.close()
            raise Unusable(
                "dump-empty",
                f"{path} is empty",
                hint="the dump was not written: look at the log of what made it, and at the space",
            )

    def read(self, offset: int, size: int) -> bytes:
        # What lies behind the end cannot come, so a hostile size must not be allocated.
        size = min(size, self.size - offset)
        if offset < 0 or size <= 0:
            return b""
        try:
            return os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise _cannot_read(self.path, offset, error) from error

    def read_into(self, offset: int, target: memoryview) -> int:
        if not 0 <= offset < self.size:
            return 0
        try:
            return os.preadv(self._descriptor, [target], offset)
        except OSError as error:
            raise _cannot_read(self.path, offset, error) from error

    def stretches(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        stop = min(stop, self.size)
        while start < stop:
            try:
                data = os.lseek(self._descriptor, start, os.SEEK_DATA)
                hole = os.lseek(self._descriptor, data, os.SEEK_HOLE)
            except OSError as error:
                if error.errno == errno.ENXIO:  # nothing but a hole to the end
                    return
                data, hole = start, stop  # the file system does not tell
            if data < stop:
                yield data, min(hole, stop)
            start = max(hole, start + 1)

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _not_a_file(path: Path, mode: int) -> Unusable:
    kinds = {
        stat.S_IFDIR: "a directory",
        stat.S_IFBLK: "a block device",
        stat.S_IFCHR: "a device",
        stat.S_IFIFO: "a pipe",
        stat.S_IFSOCK: "a socket",
    }
    kind = kinds.get(stat.S_IFMT(mode), "not a regular file")
    return Unusable(
        "dump-foreign",
        f"{path} is {kind}, expected a dump file",
        hint="name the file inside it" if stat.S_ISDIR(mode) else "copy the dump to a file first",
    )


def _cannot_open(path: Path, error: OSError | ValueError) -> Unusable:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return Unusable(
            "dump-not-found",
            f"there is no file {path}",
            hint="check the path" if not path.is_symlink() else "it is a link that leads nowhere",
        )
    if isinstance(error, PermissionError):
        return Unusable(
            "dump-unreadable",
            f"no permission to read {path}",
            hint="dumps belong to root as a rule: run as root, or change the file's permissions",
        )
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return Unusable("dump-unreadable", f"{str(path)!r} cannot be opened: {reason}")


def _cannot_read(path: Path, offset: int, error: OSError) -> Unusable:
    return Unusable(
        "dump-unreadable",
        f"reading {path} failed at byte {offset}: {error.strerror}",
        hint="the disk or the network file system has a fault: copy the dump elsewhere and retry",
    )
