"""A folder as a tar stream, made in a thread while it is sent, a few megabytes ahead at most."""

from __future__ import annotations

import asyncio
import concurrent.futures
import io
import tarfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from kernsym.cache.plain_files import plain_files

_PIECE = 1 << 20


async def stream_tree(top: Path) -> AsyncIterator[bytes]:
    """The plain files below `top`, with paths relative to it, as an uncompressed tar archive."""
    pieces = _pieces(top)
    loop = asyncio.get_running_loop()
    with concurrent.futures.ThreadPoolExecutor(1, "tree-stream") as executor:
        while piece := await loop.run_in_executor(executor, next, pieces, b""):
            yield piece


def _pieces(top: Path) -> Iterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in plain_files(top):
            archive.add(path, arcname=str(path.relative_to(top)), recursive=False)
            if buffer.tell() >= _PIECE:
                yield _take(buffer)
    yield _take(buffer)


def _take(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content
