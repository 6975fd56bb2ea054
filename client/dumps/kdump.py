"""kdump-compressed dumps (makedumpfile, QEMU, the old diskdump): header versions 1 to 6.

Layout, in blocks of `block_size` (makedumpfile's diskdump_mod.h): the header, the sub header, two
bitmaps of page frames (which there are, which were stored), page descriptors, pages.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

from kernsym.client.dumps.bitmap import Bitmap
from kernsym.client.dumps.content import Content
from kernsym.client.dumps.kdump_header import DESCRIPTOR, parse_header
from kernsym.client.dumps.mapped import CHUNK, truncated
from kernsym.client.dumps.notes import parse_notes, vmcoreinfo_text
from kernsym.client.dumps.pages import COMPRESSIONS, BrokenPage, expand
from kernsym.client.dumps.reader import Chunks, Headers, Segment
from kernsym.distros import Unusable

MAGICS = (b"KDUMP   ", b"DISKDUMP")

_MOST_NOTES = 4 << 20
_MOST_VMCOREINFO = 1 << 16
_MOST_SEGMENTS = 100_000
_CACHED = 32 << 20  # bytes of decompressed pages


class _Descriptor(NamedTuple):
    """Where a page is stored, in how many bytes, and how it is compressed."""

    offset: int
    size: int
    flags: int
    page_flags: int


class KdumpReader:
    """A kdump in `content`; `wrapping` is appended to the format's name.

    Raises `Unusable` (`dump-foreign`, `dump-damaged`, `dump-truncated`).
    """

    concurrent = False  # decompressing pages is mostly Python's own work

    def __init__(self, content: Content, wrapping: str = "") -> None:
        self.path = content.path
        self.format = "kdump" + wrapping
        self._content = content
        layout = self._layout = parse_header(content)
        self._present = Bitmap(content, layout.present_offset, layout.frames)
        self._stored = Bitmap(content, layout.stored_offset, layout.frames)
        # A part of a split dump has the bitmap of the whole and descriptors of its frames only.
        self._before = self._stored.rank(layout.first_frame) if layout.split else 0
        pages = max(_CACHED // layout.block_size, 64)
        self._page = functools.lru_cache(maxsize=pages)(self._read_page)
        self.headers = self._read_headers()

    def segments(self) -> tuple[Segment, ...]:
        layout = self._layout
        runs = self._present.runs(layout.first_frame, layout.last_frame)
        found = tuple(
            Segment(address=first * layout.block_size, size=(stop - first) * layout.block_size)
            for first, stop in itertools.islice(runs, _MOST_SEGMENTS + 1)
        )
        if len(found) > _MOST_SEGMENTS:
            raise Unusable(
                "dump-damaged",
                f"{self.path}: its bitmap describes memory in more than {_MOST_SEGMENTS} pieces",
                hint="copy the dump again, and compare checksums",
            )
        return found

    def read(self, address: int, size: int) -> bytes:
        frame, start = divmod(address, self._layout.block_size)
        if start + size <= self._layout.block_size:
            return self._page(frame)[start : start + size]
        pieces = []
        while size > 0:
            pieces.append(self._page(frame)[start : start + size])
            size -= len(pieces[-1])
            frame, start = frame + 1, 0
        return b"".join(pieces)

    def parts(self) -> Iterator[Chunks]:
        return (iter((chunk,)) for chunk in self._chunks())

    def _chunks(self) -> Chunks:
        size = self._layout.block_size
        most = max(CHUNK // size, 1)
        for first, stop in self._stored.runs(self._layout.first_frame, self._layout.last_frame):
            for begin in range(first, stop, most):
                descriptors = self._descriptors(begin, min(most, stop - begin))
                buffer = bytearray()
                pages: dict[_Descriptor, bytes] = {}  # zeros are stored once for all
                for frame, descriptor in enumerate(descriptors, begin):
                    if not descriptor.size:  # never written: the dump was cut off
                        break
                    if descriptor not in pages:
                        pages[descriptor] = self._expand_or_zeros(frame, descriptor)
                    buffer += pages[descriptor]
                if not buffer:  # descriptors ascend, so none follows
                    return
                yield begin * size, memoryview(buffer)

    def close(self) -> None:
        self._page.cache_clear()
        self._content.close()

    def _read_page(self, frame: int) -> bytes:
        layout = self._layout
        if not layout.first_frame <= frame < layout.last_frame or not self._stored.has(frame):
            return bytes(layout.block_size)
        descriptors = self._descriptors(frame, 1)
        if not descriptors or not descriptors[0].size:
            raise truncated(self.path, self._content.size, self.headers.missing or 1)
        return self._expand(frame, descriptors[0])

    def _descriptors(self, frame: int, count: int) -> list[_Descriptor]:
        """Those of `count` frames, all stored; fewer where the file ends."""
        index = self._stored.rank(frame) - self._before
        at = self._layout.descriptors_offset + index * DESCRIPTOR.size
        table = self._content.read(at, count * DESCRIPTOR.size)
        whole = len(table) // DESCRIPTOR.size * DESCRIPTOR.size
        return [_Descriptor._make(d) for d in self._layout.descriptor.iter_unpack(table[:whole])]

    def _expand(self, frame: int, descriptor: _Descriptor) -> bytes:
        offset, size, flags, _ = descriptor
        if size > self._layout.block_size:
            raise self._broken(frame, f"it is stored in {size} bytes")
        data = self._content.read(offset, size)
        if len(data) < size:
            raise truncated(self.path, self._content.size, offset + size - self._content.size)
        try:
            return expand(data, flags, self._layout.block_size)
        except BrokenPage as error:
            raise self._broken(frame, str(error)) from error

    def _expand_or_zeros(self, frame: int, descriptor: _Descriptor) -> bytes:
        try:
            return self._expand(frame, descriptor)
        except Unusable:
            return bytes(self._layout.block_size)

    def _broken(self, frame: int, reason: str) -> Unusable:
        return Unusable(
            "dump-damaged",
            f"the page at {frame * self._layout.block_size:#x} in {self.path} is broken: {reason}",
            hint="copy the dump again, and compare checksums",
        )

    def _read_headers(self) -> Headers:
        layout = self._layout
        text, origin = self._vmcoreinfo()
        return Headers(
            arch=layout.machine or None,
            release=layout.release or None,
            version=layout.version or None,
            machine=layout.machine or None,
            vmcoreinfo=text,
            vmcoreinfo_from=origin,
            phys_base=layout.phys_base or None,  # 0 also stands for: not known
            compression=next(
                (name for flag, name in COMPRESSIONS.items() if layout.status & flag), ""
            ),
            missing=self._missing(),
            split=layout.split,
        )

    def _vmcoreinfo(self) -> tuple[bytes | None, str | None]:
        """The text, and where it was: makedumpfile points to it, QEMU leaves it in its note."""
        offset, size = self._layout.vmcoreinfo
        if size:
            return self._content.read(offset, min(size, _MOST_VMCOREINFO)), "header"
        offset, size = self._layout.notes
        notes = self._content.read(offset, min(size, _MOST_NOTES))
        text = vmcoreinfo_text(parse_notes(notes, self._layout.order))
        return text, "note" if text is not None else None

    def _missing(self) -> int:
        """Bytes that the last descriptors point to behind the end of the file."""
        if self._content.missing is not None:
            return self._content.missing
        layout, size = self._layout, self._content.size
        count = self._stored.rank(layout.last_frame) - self._before
        end = layout.descriptors_offset + count * DESCRIPTOR.size
        if end > size:
            return end - size
        # The very last pages may be zeros, stored once at the front.
        few = min(count, 512)
        table = self._content.read(end - few * DESCRIPTOR.size, few * DESCRIPTOR.size)
        pages = map(_Descriptor._make, layout.descriptor.iter_unpack(table))
        return max(max((page.offset + page.size for page in pages), default=0) - size, 0)
