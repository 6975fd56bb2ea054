"""An answer that is made of parts of a body: they go from the page cache to the socket, of a file
that is still being unpacked as they come."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from kernsym.distros import KernsymError
from kernsym.server.served.body import Body
from kernsym.server.served.ranges import Span

_AT_ONCE = 1 << 20  # nobody holds up the others for longer


class PartsAnswer(web.StreamResponse):
    """Sends `parts`, each a span of `body` or bytes of its own.  `using` is held meanwhile.

    Not aiohttp's FileResponse: that one sends a file `NAME.gz` that happens to lie beside NAME,
    knows no several ranges, takes an If-Range with an entity tag for none, and goes twice to a
    thread for each answer.
    """

    def __init__(
        self,
        body: Body,
        parts: Sequence[Span | bytes],
        *,
        status: int,
        headers: Mapping[str, str],
        using: AbstractContextManager[None],
    ) -> None:
        super().__init__(status=status, headers=headers)
        self._content = body
        self._file = body.open()
        self._parts = parts
        self._using = using
        self.content_length = sum(
            len(part) if isinstance(part, bytes) else part.size for part in parts
        )

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        if self.prepared:
            return await super().prepare(request)
        with self._file, self._using:
            writer = await super().prepare(request)
            for part in self._parts:
                if isinstance(part, bytes):
                    await self.write(part)
                else:
                    async for span in _come(self._content, part):
                        await self._send(request, span)
            await self.write_eof()
            return writer

    async def _send(self, request: web.BaseRequest, span: Span) -> None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client has gone")
        sent = _send_at_once(transport, self._file, span)
        if sent < span.size:
            loop = asyncio.get_running_loop()
            # Over TLS the loop reads the file and sends blocks of it.
            sent += await loop.sendfile(transport, self._file, span.first + sent, span.size - sent)
        request.writer.output_size += sent  # which went past the writer
        if sent < span.size:  # the file was cut: the connection cannot be used any more
            self.force_close()
            transport.close()


async def _come(body: Body, part: Span) -> AsyncIterator[Span]:
    """The parts of a part of a body, as places in its file, as soon as they are there.  Raises
    `ConnectionAbortedError` when the rest does not come: what was promised cannot be kept."""
    at = part.first
    while at < part.end:
        try:
            there = await body.coming.reach(at) if body.coming else body.size
        except KernsymError as error:
            raise ConnectionAbortedError(error.message) from error
        yield Span(body.offset + at, min(there, part.end) - at)
        at = there


def _send_at_once(transport: asyncio.Transport, file: BinaryIO, span: Span) -> int:
    """What the connection takes of a span right now, in bytes.  Of most modules that is all, and
    the loop's own way costs more than they do: it prepares for waiting first."""
    connection = transport.get_extra_info("socket")
    if (
        connection is None
        or transport.get_extra_info("sslcontext") is not None
        or transport.get_write_buffer_size()
    ):
        return 0
    try:
        wanted = min(span.size, _AT_ONCE)
        return os.sendfile(connection.fileno(), file.fileno(), span.first, wanted)
    except OSError:  # it takes nothing now, or is gone: the loop will meet that in its own way
        return 0


def multipart(
    spans: Sequence[Span], size: int, boundary: str, headers: Mapping[str, str]
) -> tuple[str, list[Span | bytes]]:
    """Content type and parts of a multipart/byteranges answer of `spans` of `size` bytes."""
    parts: list[Span | bytes] = []
    for span in spans:
        head = (
            f"\r\n--{boundary}\r\nContent-Type: {headers['Content-Type']}\r\n"
            f"Content-Range: {content_range(span, size)}\r\n\r\n"
        )
        parts += [head.encode(), span]
    parts.append(f"\r\n--{boundary}--\r\n".encode())
    return f"multipart/byteranges; boundary={boundary}", parts


def content_range(span: Span, size: int) -> str:
    """The header's value for one span."""
    return f"bytes {span.first}-{span.end - 1}/{size}"
