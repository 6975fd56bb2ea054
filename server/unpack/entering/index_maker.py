"""Makes the index of a package while a pass reads it through."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

import zstandard

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.codecs.zstd import Frame, Seen
from kernsym.server.unpack.entering.aside import Aside
from kernsym.server.unpack.entering.gzip_points import GzipPointMaker
from kernsym.server.unpack.entering.index_file import Index, IndexedMember, IndexFile, identity
from kernsym.server.unpack.entering.points import PointMaker
from kernsym.server.unpack.entering.repack import Repacker

log = logging.getLogger(__name__)

_REST = 8  # when an eighth of a package is left, it is read for the sake of the index alone
_WINDOW_LEVEL = 1


class IndexMaker:
    """Hears of what goes by.  Where the index cannot be written there is none: the pass goes on.

    `complete` once the index is written, beside its place.
    """

    def __init__(self, file: IndexFile, package: ByteSource) -> None:
        self.complete = False
        self._file = file
        self._package = package
        self._members: list[IndexedMember] = []
        self._points: PointMaker | None = None
        self._gzip_points: GzipPointMaker | None = None
        self._repacker: Repacker | None = None
        self._asides: list[Aside[tuple[Frame, int, bytes]] | Aside[bytes]] = []

    def is_nearly_done(self, reach: int) -> bool:
        """Whether so little of the package lies behind `reach` that it should be read as well."""
        whole = self._package.whole()
        return whole is not None and (whole - reach) * _REST <= whole

    def marking(self) -> Seen:
        """What has to hear of each piece that a zstd payload unpacks to."""
        self._points = points = PointMaker(self._package, self._keep_window)
        aside = Aside[tuple[Frame, int, bytes]](lambda seen: points.seen(*seen))
        self._asides.append(aside)
        return lambda frame, end, piece: aside.put((frame, end, piece))

    def marking_gzip(self) -> GzipPointMaker:
        """What has to hear of blocks of a gzip payload."""
        self._gzip_points = GzipPointMaker(self._keep_window)
        return self._gzip_points

    def packing(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """The pieces of an archive, which are packed again meanwhile."""
        self._repacker = repacker = Repacker(self._file.keep)
        aside = Aside(repacker.add)
        self._asides.append(aside)
        for piece in pieces:
            aside.put(piece)
            yield piece

    def member(self, path: str, position: int, build_id: str | None) -> None:
        """A file of the package."""
        encoded = path.encode("utf-8", "surrogateescape")
        self._members.append(IndexedMember(encoded, position, build_id or ""))

    def finish(self) -> None:
        """The package was read to its end."""
        for aside in self._asides:
            aside.close()
        makers = (*self._asides, self._gzip_points)
        if any(maker is not None and maker.failed for maker in makers):
            return
        try:
            if self._repacker is not None:
                self._repacker.finish()
            self._file.finish(
                Index(
                    package=identity(self._package),
                    members=tuple(self._members),
                    points=tuple(self._points.points if self._points else ()),
                    gzip_points=tuple(self._gzip_points.points if self._gzip_points else ()),
                    frames=tuple(self._repacker.frames if self._repacker else ()),
                )
            )
            self.complete = True
        except OSError as error:
            log.warning("no index is left of a package: %s", error)

    def close(self) -> None:
        for aside in self._asides:
            aside.close()
        self._file.close()

    def _keep_window(self, window: bytes) -> tuple[int, int]:
        return self._file.keep(zstandard.ZstdCompressor(level=_WINDOW_LEVEL).compress(window))


@contextlib.contextmanager
def making_index(path: Path | None, package: ByteSource) -> Iterator[IndexMaker | None]:
    """What makes an index that is to lie at `path`; None where none is wanted or can be written."""
    if path is None:
        yield None
        return
    try:
        file = IndexFile(path)
    except OSError as error:
        log.info("no index is left of a package: %s", error)
        yield None
        return
    with contextlib.closing(IndexMaker(file, package)) as maker:
        yield maker
