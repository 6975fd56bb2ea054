"""Compressed forms of what is served: each is made once and kept, within a bound, on the disk."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
import time
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

from kernsym.distros import KernsymError
from kernsym.server.disk import require_room
from kernsym.server.served.body import Body
from kernsym.server.threads import stand_back

_BLOCK = 1 << 20
_LEAST_BYTES = 1 << 10
_WHILE_WAITING = 4 << 20  # a tenth of a second at the most; larger ones are made in the background
_MOST_SHARE = 0.9  # of the original: what saves less does not pay
_STALE_SECONDS = 900.0  # a form that somebody began so long ago will not be finished
_NICE = 15
_ZSTD_LEVEL = 3  # 633 MB of DWARF in 3 s
_GZIP_LEVEL = 5


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class EncodedFiles:
    """Compressed forms in `folder`, `most_bytes` of them; 0: none are made.

    Several processes may share the folder.  `close()` ends what is under way.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self._folder = folder
        self._most = most_bytes
        self._closing = threading.Event()
        self._under_way: set[Path] = set()
        self._made = most_bytes  # since the folder was last looked through
        self._background = ThreadPoolExecutor(
            1, "compress", initializer=stand_back, initargs=(_NICE,)
        )

    def close(self) -> None:
        self._closing.set()
        self._background.shutdown(cancel_futures=True)

    async def find(self, body: Body, encoding: str) -> Body | None:
        """The form of a body in an encoding; None: it does not pay, or is not there yet."""
        if not _LEAST_BYTES <= body.size <= self._most:
            return None
        path = self._path(body, encoding)
        found = _size(path)
        if found is None and path not in self._under_way:
            self._under_way.add(path)
            if body.size <= _WHILE_WAITING:
                await asyncio.to_thread(self._make, body, encoding, path)
                found = _size(path)
            else:
                self._background.submit(self._make, body, encoding, path)
        return body.encoded(path, found, encoding) if found else None

    def _path(self, body: Body, encoding: str) -> Path:
        name = hashlib.sha256(body.etag.encode()).hexdigest()[:40]
        return self._folder / name[:2] / f"{name[2:]}.{encoding}"

    def _make(self, body: Body, encoding: str, path: Path) -> None:
        """Write the form of a body; an empty one says that it does not pay.

        A full or read-only disk is no fault: the body is sent as it is.
        """
        beside = path.with_name(f".{path.name}.part")
        try:
            with contextlib.suppress(OSError, KernsymError):
                require_room(self._folder, 2 * body.size)
                path.parent.mkdir(parents=True, exist_ok=True)
                if time.time() - _modified(beside) > _STALE_SECONDS:
                    beside.unlink(missing_ok=True)
                with beside.open("xb") as target:  # another process may be at it
                    try:
                        whole = self._compress(body, _compressor(encoding, body.size), target)
                        if target.tell() > body.size * _MOST_SHARE:
                            target.truncate(0)
                        if whole:
                            beside.replace(path)
                        self._made += target.tell()
                    finally:
                        beside.unlink(missing_ok=True)
                if self._made > self._most // 16:
                    self._evict()
        finally:
            self._under_way.discard(path)

    def _compress(self, body: Body, compressor: _Compressor, target: BinaryIO) -> bool:
        """Whether it came to its end."""
        with body.path.open("rb") as source:
            source.seek(body.offset)
            left = body.size
            while left and (block := source.read(min(left, _BLOCK))):
                target.write(compressor.compress(block))
                left -= len(block)
                if self._closing.is_set():
                    return False
        target.write(compressor.flush())
        target.flush()
        return not left

    def _evict(self) -> None:
        """Remove what was made first until the rest is within the bound."""
        self._made = 0
        entries = []
        for path in self._folder.glob("*/*"):
            with contextlib.suppress(OSError):
                state = path.stat()
                entries.append((state.st_mtime, state.st_size, path))
        held = sum(size for _, size, _ in entries)
        for _, size, path in sorted(entries):
            if held <= self._most:
                return
            path.unlink(missing_ok=True)
            held -= size


def _compressor(encoding: str, size: int) -> _Compressor:
    makers: dict[str, Callable[[], _Compressor]] = {
        "zstd": lambda: zstandard.ZstdCompressor(_ZSTD_LEVEL).compressobj(size=size),
        "gzip": lambda: zlib.compressobj(_GZIP_LEVEL, wbits=31),  # 31: with gzip's header
    }
    return makers[encoding]()


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()
