"""Raw physical memory: offset and physical address are the same, and nothing says so."""

from __future__ import annotations

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.mapped import Extent, MappedDump
from kernsym.client.dumps.reader import Headers


def read_raw(content: Content) -> MappedDump:
    """All of `content` as memory.  Whether it is any, only finding a kernel in it can tell."""
    return MappedDump(
        content,
        path=content.path,
        format="raw",
        headers=Headers(),
        extents=[Extent(0, content.size, 0)],
    )
