"""Small bodies that are asked for again and again, in memory."""

from __future__ import annotations

import os
from collections import OrderedDict

from kernsym.server.served.body import Body

Content = bytes | bytearray
MOST_EACH = 256 << 10  # larger ones cost more to send than to fetch


class HotBodies:
    """Contents by entity tag, `most_bytes` of them; what was not used for longest goes first.

    An entity tag never names two contents, so nothing has to be invalidated.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._contents: OrderedDict[str, Content] = OrderedDict()

    def get(self, etag: str) -> Content | None:
        content = self._contents.get(etag)
        if content is not None:
            self._contents.move_to_end(etag)
        return content

    def put(self, etag: str, content: Content) -> None:
        if len(content) > min(self._most, MOST_EACH) or etag in self._contents:
            return
        self._contents[etag] = content
        self._held += len(content)
        while self._held > self._most:
            _, dropped = self._contents.popitem(last=False)
            self._held -= len(dropped)


def read_cached(descriptor: int, body: Body) -> Content | None:
    """The body's content if the page cache has all of it; None: it would have to be waited for."""
    content = bytearray(body.size)
    try:
        read = os.preadv(descriptor, [content], body.offset, os.RWF_NOWAIT)
    except OSError:  # EAGAIN, or a file system that cannot tell
        return None
    return content if read == body.size else None


def read(descriptor: int, body: Body) -> bytes:
    """The body's content; less than its size when the file was cut."""
    pieces = []
    at, end = body.offset, body.offset + body.size
    while at < end and (piece := os.pread(descriptor, end - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)
