"""The sha256 of a file, taken by a thread of its own while the file is unpacked and written: most
packages have a decoder that leaves a processor idle."""

from __future__ import annotations

import hashlib
import threading
from queue import SimpleQueue

from kernsym.server.unpack.archive import KEPT

_LEAST = 1 << 20  # bytes: of smaller files it is taken before a thread has begun


class Digest:
    """The digest of a file of about `size` bytes, block by block as `Archive.blocks` gives them.
    Has to be closed."""

    def __init__(self, size: int) -> None:
        self._digest = hashlib.sha256()
        self._blocks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()  # an item for each block that may wait
        self._thread: threading.Thread | None = None
        if size >= _LEAST:
            for _ in range(KEPT - 1):
                self._room.put(None)
            self._thread = threading.Thread(target=self._run, name="digest")
            self._thread.start()

    def update(self, block: memoryview) -> None:
        if self._thread is None:
            self._digest.update(block)
        else:
            self._room.get()
            self._blocks.put(block)

    def close(self) -> None:
        """Wait until all blocks are in it."""
        if self._thread is not None:
            self._blocks.put(None)
            self._thread.join()
            self._thread = None

    def hexdigest(self) -> str:
        self.close()
        return self._digest.hexdigest()

    def _run(self) -> None:
        for block in iter(self._blocks.get, None):
            self._digest.update(block)
            self._room.put(None)
