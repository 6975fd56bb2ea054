"""A file that is read while it is still being written: the package on its way."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol

from kernsym.distros import CouldNotFindOut


class ByteSource(Protocol):
    """Bytes with an end, not all of which have come."""

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer only at the end; waits until they have come.

        Raises what stopped them from coming.
        """
        ...

    def whole(self) -> int | None:
        """The size in bytes when all have come, else None.  Never waits."""
        ...


class GrowingFile:
    """One writer announces how far the file has come; any number of threads read and wait.

    Bytes that were announced never change: a writer that must replace some fails the file.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._descriptor: int | None = None
        self._available = 0
        self._whole = False
        self._finished = False
        self._error: Exception | None = None

    def begin(self, path: Path) -> None:
        """The file exists now; readers keep it open through a later rename."""
        with self._changed:
            if self._descriptor is None and self._error is None:
                self._descriptor = os.open(path, os.O_RDONLY)

    def grown(self, available: int, *, whole: bool = False) -> None:
        """The first `available` bytes are there; with `whole` no more are to come, though they may
        still prove to be wrong."""
        with self._changed:
            self._available = max(self._available, available)
            self._whole |= whole
            self._changed.notify_all()

    def finish(self) -> None:
        """What is available is the whole file."""
        with self._changed:
            self._finished = self._whole = True
            self._changed.notify_all()

    def fail(self, error: Exception) -> None:
        """Nothing more will come, because of `error`; ignored once the file is whole."""
        with self._changed:
            if not self._finished and self._error is None:
                self._error = error
            self._changed.notify_all()

    @property
    def failed(self) -> bool:
        """Whether nothing more will come, or nobody waits for it."""
        with self._changed:
            return self._error is not None

    def read_at(self, offset: int, size: int) -> bytes:
        """As `ByteSource.read_at`."""
        with self._changed:
            self._changed.wait_for(lambda: self._settled(offset + size))
            if self._error is not None:
                raise self._error
            size = min(size, max(self._available - offset, 0))
            if self._descriptor is None or size == 0:
                return b""
            return _read_fully(self._descriptor, size, offset)

    def whole(self) -> int | None:
        """As `ByteSource.whole`."""
        with self._changed:
            return self._available if self._whole else None

    def close(self) -> None:
        """Ends the waiting of readers that are left, and lets go of the file."""
        with self._changed:
            if self._error is None:
                self._error = CouldNotFindOut("download-cancelled", "the download was cancelled")
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None
            self._changed.notify_all()

    def _settled(self, end: int) -> bool:
        return self._whole or self._error is not None or end <= self._available


def _read_fully(descriptor: int, size: int, offset: int) -> bytes:
    """Reads on where pread returns less than was asked for."""
    pieces = []
    while size > 0:
        piece = os.pread(descriptor, size, offset)
        if not piece:
            raise CouldNotFindOut("package-cut", "the package became shorter while it was read")
        pieces.append(piece)
        size -= len(piece)
        offset += len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
