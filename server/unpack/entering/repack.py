"""An archive packed again, in frames that can be unpacked alone: for packers that allow no entry.

The frames after each other are an ordinary zstd file: zstd -dc FILE | bsdtar -t
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import zstandard

from kernsym.server.unpack.entering.entrances import Misplaced, ReadKept

_FRAME = 4 << 20  # bytes of the archive
_LEVEL = 1


class PackedFrame(NamedTuple):
    """A frame that unpacks to `size` bytes from `position` on; it lies at `offset`, in `packed`
    bytes."""

    position: int
    size: int
    offset: int
    packed: int


class Repacker:
    """Packs an archive that goes by; `keep` takes a frame and tells where it lies."""

    def __init__(self, keep: Callable[[bytes], tuple[int, int]]) -> None:
        self.frames: list[PackedFrame] = []
        self._keep = keep
        self._packer = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        self._pieces: list[bytes] = []
        self._position = self._size = 0

    def add(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _FRAME:
            self.finish()

    def finish(self) -> None:
        """Pack what is left."""
        if self._size:
            offset, packed = self._keep(self._packer.compress(b"".join(self._pieces)))
            self.frames.append(PackedFrame(self._position, self._size, offset, packed))
            self._position += self._size
            self._pieces, self._size = [], 0


class RepackEntrances:
    """An archive that was packed again: `Entrances`.  `read` gives what was kept."""

    def __init__(self, frames: Sequence[PackedFrame], read: ReadKept) -> None:
        self._frames = frames
        self._read = read
        self.starts = tuple(frame.position for frame in frames)
        self.threads = len(os.sched_getaffinity(0))

    @contextlib.contextmanager
    def unpacked_from(self, number: int, *, together: bool) -> Iterator[Iterator[bytes]]:
        yield map(self._unpacked, self._frames[number:])

    def _unpacked(self, frame: PackedFrame) -> bytes:
        data = self._read(frame.offset, frame.packed, frame.size)
        if len(data) != frame.size:
            raise Misplaced
        return data
