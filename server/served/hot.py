"""Small bodies that are asked for again and again, in memory."""

from __future__ import annotations

import os
from collections import OrderedDict

MOST_EACH = 256 << 10  # larger ones cost more to send than to fetch


class HotBodies:
    """Contents by entity tag, `most_bytes` of them; what was not used for longest goes first.

    An entity tag never names two contents, so nothing has to be invalidated.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._held = 0
        self._contents: OrderedDict[str, bytearray] = OrderedDict()

    def get(self, etag: str) -> bytearray | None:
        content = self._contents.get(etag)
        if content is not None:
            self._contents.move_to_end(etag)
        return content

    def put(self, etag: str, content: bytearray) -> None:
        if len(content) > min(self._most, MOST_EACH) or etag in self._contents:
            return
        self._contents[etag] = content
        self._held += len(content)
        while self._held > self._most:
            _, dropped = self._contents.popitem(last=False)
            self._held -= len(dropped)


def fill(content: bytearray, descriptor: int, offset: int, *, wait: bool) -> bool:
    """Read as much of a file as `content` has room for; False: it was cut.  Without `wait` also
    False unless the page cache has all of it."""
    try:
        at = os.preadv(descriptor, [content], offset, 0 if wait else os.RWF_NOWAIT)
    except OSError:  # EAGAIN, or a file system that cannot tell
        if wait:
            raise
        return False
    while wait and at < len(content):
        more = os.preadv(descriptor, [memoryview(content)[at:]], offset + at)
        if not more:
            return False
        at += more
    return at == len(content)
