"""From a request and a body to the answer: conditions, ranges, encodings."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from contextlib import AbstractContextManager
from pathlib import Path

from aiohttp import web

from kernsym.cache.uses import Uses
from kernsym.distros import KernsymError
from kernsym.server.served.body import Body
from kernsym.server.served.conditions import Verdict, allows_range, evaluate
from kernsym.server.served.encoded_files import EncodedFiles
from kernsym.server.served.encodings import choose
from kernsym.server.served.hot import MOST_EACH, HotBodies, fill
from kernsym.server.served.ranges import Span, parse_ranges
from kernsym.server.served.sending import PartsAnswer, content_range, multipart

_KEPT_WHEN_UNCHANGED = ("Cache-Control", "ETag", "Last-Modified", "Vary")


class FileAnswers:
    """Answers bodies to GET and HEAD.

    `memory_bytes`: for small bodies that are hot.  `encoded_bytes`: on the disk, in `folder`, for
    compressed forms.  `uses`: of the kernels that are sent from.
    """

    def __init__(self, folder: Path, *, memory_bytes: int, encoded_bytes: int, uses: Uses) -> None:
        self._uses = uses
        self._hot = HotBodies(memory_bytes)
        self._encoded = EncodedFiles(folder, encoded_bytes)

    def close(self) -> None:
        self._encoded.close()

    async def answer(self, request: web.Request, body: Body) -> web.StreamResponse:
        """The answer with this body, or what the request's conditions make of it.

        Raises `KernsymError` (`file-too-large` for the client, `not-held` when it has gone).
        """
        if body.kernel:
            self._uses.note(body.kernel)
        asked = request.headers
        _require_small_enough(asked.get("X-DEBUGINFOD-MAXSIZE", ""), body)
        range_header = asked.get("Range") if request.method == "GET" else None
        if range_header and not allows_range(asked.get("If-Range"), body.etag, body.modified):
            range_header = None
        whole = range_header is None and body.coming is None
        if whole and (accepted := asked.get("Accept-Encoding")):
            body = await self._in_encoding(accepted, body)
        verdict = evaluate(asked, body.etag, body.modified)
        if verdict is Verdict.NOT_MODIFIED:
            kept = {name: body.headers[name] for name in _KEPT_WHEN_UNCHANGED}
            return web.Response(status=304, headers=kept)
        if verdict is Verdict.FAILED:
            raise KernsymError("precondition-failed", "the file is not the one that was named")
        if range_header is not None:
            spans = parse_ranges(range_header, body.size)
            if spans is not None:
                return _part(body, spans, self._using(body))
        return await self._whole(request, body)

    def _using(self, body: Body) -> AbstractContextManager[None]:
        """Held while a body is sent, its kernel stays."""
        return self._uses.using(body.kernel) if body.kernel else contextlib.nullcontext()

    async def _in_encoding(self, accepted: str, body: Body) -> Body:
        encoding = choose(accepted)
        return (encoding and await self._encoded.find(body, encoding)) or body

    async def _whole(self, request: web.Request, body: Body) -> web.StreamResponse:
        if request.method == "HEAD":
            return web.Response(headers={**body.headers, "Content-Length": str(body.size)})
        if body.size > MOST_EACH or body.coming:
            whole = [Span(0, body.size)]
            return PartsAnswer(
                body, whole, status=200, headers=body.headers, using=self._using(body)
            )
        content = self._hot.get(body.etag)
        if content is None:
            content = bytearray(body.size)
            with body.open() as file:
                place = file.fileno(), body.offset
                if not fill(content, *place, wait=False) and not await asyncio.to_thread(
                    fill, content, *place, wait=True
                ):
                    raise body.gone()
            self._hot.put(body.etag, content)
        return web.Response(body=content, headers=body.headers)


def _part(
    body: Body, spans: tuple[Span, ...], using: AbstractContextManager[None]
) -> web.StreamResponse:
    """206 with the spans, 416 when there are none."""
    headers = body.headers.copy()
    if not spans:
        headers["Content-Range"] = f"bytes */{body.size}"
        return web.Response(status=416, headers=headers)
    if len(spans) == 1:
        headers["Content-Range"] = content_range(spans[0], body.size)
        parts: list[Span | bytes] = list(spans)
    else:
        headers["Content-Type"], parts = multipart(
            spans, body.size, secrets.token_hex(16), body.headers
        )
    return PartsAnswer(body, parts, status=206, headers=headers, using=using)


def _require_small_enough(most: str, body: Body) -> None:
    """A client of debuginfod may say how much it takes at the most, in bytes."""
    if most.isascii() and most.isdigit() and 0 < int(most[:18]) < body.size:
        raise KernsymError(
            "file-too-large", f"the file has {body.size} bytes, the request allows {most[:18]}"
        )
