"""A package of which only what is read is brought, by ranges: as if the whole of it lay here."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.ranged_answer import request_headers, require_range, unusable
from kernsym.server.mirrors.ranged_file import PIECE, RangedFile
from kernsym.server.mirrors.upstream import Upstream

_CONNECTIONS = 4  # at once to one mirror
_FIRST_PIECES = 8  # headers, the list of files, and a first block
_MOST_PIECES = 16  # of a request
_ATTEMPTS = 4  # in a row and without progress


class RangedPackage:
    """A `ByteSource` that tells its size at once and brings the bytes that are read.

    Who reads on gets as much again as lies before that already: little is brought in vain, however
    far somebody reads.  `read_at` is called from threads beside the event loop of `upstream`.
    `on_progress` hears how many bytes have come over the network since `begin`.
    """

    def __init__(
        self,
        upstream: Upstream,
        url: str,
        file: RangedFile,
        on_progress: Callable[[int], None] = lambda come: None,
    ) -> None:
        self._upstream = upstream
        self._url = url
        self._file = file
        self._on_progress = on_progress
        self._loop = asyncio.get_running_loop()
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self._changed = threading.Condition()
        self._coming: set[int] = set()
        self._requests: set[Future[None]] = set()
        self._error: Exception | None = None
        self._come = 0

    async def begin(self) -> None:
        """Learn what there is.  Raises `RangesUnusable`, `CouldNotFindOut`, `Unusable`."""
        await asyncio.to_thread(self._file.take_over)
        if self._file.entity is None:
            await self._fetch(range(_FIRST_PIECES))

    def read_at(self, offset: int, size: int) -> bytes:
        """As `ByteSource.read_at`."""
        size = min(size, self._size - offset)
        if size <= 0:
            return b""
        pieces = range(offset // PIECE, (offset + size - 1) // PIECE + 1)
        with self._changed:
            if self._error is None:
                for run in self._lacking(pieces):
                    self._start(run)
            self._changed.wait_for(
                lambda: self._error is not None or all(map(self._file.holds, pieces))
            )
            if self._error is not None:
                raise self._error
            return self._file.read(offset, size)

    def whole(self) -> int:
        """As `ByteSource.whole`: whoever asks finds everything there."""
        return self._size

    @property
    def size_held(self) -> int:
        """Bytes that have come, now or before."""
        return self._file.size_held

    def close(self) -> None:
        """Let nobody wait any longer: what has not come will not."""
        self._fail(CouldNotFindOut("download-cancelled", "the download was cancelled"))
        with self._changed:
            requests = tuple(self._requests)
        for request in requests:
            request.cancel()

    async def end(self) -> None:
        """As `close`; returns when nothing works on the file any more, and lets go of it."""
        self.close()
        while self._requests:
            await asyncio.wait([asyncio.wrap_future(each) for each in tuple(self._requests)])
        self._file.close()

    @property
    def _size(self) -> int:
        assert self._file.entity is not None
        return self._file.entity.size

    def _lacking(self, pieces: range) -> Iterator[range]:
        """The runs to ask for now, so that `pieces` will be there."""
        last = (self._size - 1) // PIECE
        for first in pieces:
            if self._is_there(first):
                continue
            before = 1
            while before < _MOST_PIECES and self._is_there(first - before):
                before += 1
            end = min(max(pieces.stop, first + before), first + _MOST_PIECES, last + 1)
            yield range(first, next(filter(self._is_there, range(first, end)), end))

    def _is_there(self, piece: int) -> bool:
        return self._file.holds(piece) or piece in self._coming

    def _start(self, run: range) -> None:
        self._coming.update(run)
        request = asyncio.run_coroutine_threadsafe(self._bring(run), self._loop)
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _bring(self, run: range) -> None:
        try:
            async with self._connections:
                await self._fetch(run)
        except Exception as error:
            self._fail(error)

    async def _fetch(self, run: range) -> None:
        await self._upstream.patiently(
            lambda: self._attempt(run), attempts=_ATTEMPTS, come=lambda: self._come
        )

    async def _attempt(self, run: range) -> None:
        """One request for those pieces of a run that have not come yet."""
        run = run[sum(map(self._file.holds, run)) :]
        if not run:
            return
        first, last, known = run.start * PIECE, run.stop * PIECE - 1, self._file.entity
        last = min(last, known.size - 1) if known else last
        async with self._upstream.open(self._url, request_headers(first, last, known)) as answer:
            entity = require_range(self._url, answer.status, answer.headers, first, last, known)
            if known is None:
                await asyncio.to_thread(self._file.begin, entity)
            left, piece, data = min(last, entity.size - 1) + 1 - first, run.start, b""
            async for part in answer.content.iter_any():
                data += part
                left -= len(part)
                ready = len(data) - (len(data) % PIECE if left else 0)
                if left < 0:
                    raise unusable(self._url, "it sends more than was asked for")
                if ready:
                    await self._keep(piece, data[:ready])
                    piece, data = piece + ready // PIECE, data[ready:]
            if left:
                raise unusable(self._url, "it sends less than it announces")

    async def _keep(self, first: int, data: bytes) -> None:
        await asyncio.to_thread(self._file.write, first, data)
        self._come += len(data)
        self._on_progress(self._come)
        with self._changed:
            self._coming.difference_update(range(first, first - (-len(data) // PIECE)))
            self._changed.notify_all()

    def _fail(self, error: Exception) -> None:
        with self._changed:
            self._error = self._error or error
            self._changed.notify_all()
