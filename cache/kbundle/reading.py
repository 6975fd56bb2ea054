"""Reads a .kbundle from a stream, and trusts nothing in it: every file is compared as it comes."""

from __future__ import annotations

import contextlib
import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import IO, cast

import zstandard

from kernsym.cache.kbundle.contents import (
    CONTENTS,
    SIGNATURE,
    SUMS,
    Contents,
    damaged,
    decode_contents,
    decode_sums,
    require_same,
    unsafe,
)

_MOST_BYTES_OF_TEXT = 256 << 20  # a source tree has 80,000 files, a kernel 4,000 modules
_MOST_BYTES_OF_A_FILE = 8 << 30
_LARGEST_WINDOW = 128 << 20
_MOST_BYTES_OF_HEADERS = 1 << 20  # between two members; tarfile would believe any size
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedFile:
    """A file as its header announces it: its path in a store, its size in bytes, its SHA-256 in
    hex, when it was changed, in seconds since 1970.  `same_as`: the path of the file before it that
    has its content, "" for its own."""

    path: str
    size: int
    modified: int
    sha256: str
    same_as: str


class Carrier:
    """An open .kbundle: the head was read, the files come by one after another.

    `listing` and `signature` as they stand in it; `signature` None where there is none.
    """

    def __init__(self, archive: tarfile.TarFile, meter: _Meter) -> None:
        self._archive = archive
        self._meter = meter
        contents = self._text(self._next(), CONTENTS)
        self.listing = self._text(self._next(), SUMS)
        self._sums = decode_sums(self.listing)
        require_same(self._sums, CONTENTS, contents)
        self.contents: Contents = decode_contents(contents)
        self._ahead = self._next()
        self.signature: bytes | None = None
        if self._ahead is not None and self._ahead.name == SIGNATURE:
            self.signature = self._text(self._ahead, SIGNATURE)
            self._ahead = self._next()

    @property
    def sums(self) -> Mapping[str, str]:
        """The digests that the files have to have, by path."""
        return self._sums

    def files(self) -> Iterator[CarriedFile]:
        """The files in order; the content of each can be read until the next is asked for.

        Raises `Refused` (`kbundle-damaged`, `kbundle-unsafe`), also where some are missing.
        """
        left = set(self._sums) - {CONTENTS}
        while (member := self._ahead) is not None:
            if member.name not in left:
                raise unsafe(f"it holds {member.name!r} twice, or {SUMS} does not name it")
            if not (member.isreg() or member.islnk()) or member.size > _MOST_BYTES_OF_A_FILE:
                raise unsafe(f"{member.name!r} is no plain file of a kernel")
            sha256 = self._sums[member.name]
            same_as = member.linkname if member.islnk() else ""
            if same_as and (same_as in left or self._sums.get(same_as) != sha256):
                raise unsafe(f"{member.name!r} is a link to {same_as!r}, which is something else")
            left.discard(member.name)
            yield CarriedFile(
                path=member.name,
                size=member.size,
                modified=int(member.mtime),
                sha256=sha256,
                same_as=same_as,
            )
            self._ahead = self._next()
        if left:
            raise damaged(f"{min(left)} and {len(left) - 1} other files are missing")

    def content(self) -> Iterator[bytes]:
        """The content of the current file in pieces, compared with its digest at the end.

        Raises `Refused` (`kbundle-damaged`).
        """
        member = self._ahead
        assert member is not None
        digest, size = hashlib.sha256(), 0
        file = cast(IO[bytes], self._archive.extractfile(member))
        with _readable():
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += len(piece)
                yield piece
        if size != member.size or digest.hexdigest() != self._sums[member.name]:
            raise damaged(f"{member.name} is not what {SUMS} says")

    def _next(self) -> tarfile.TarInfo | None:
        with _readable():
            member = self._archive.next()
        self._archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header
        self._meter.left = _MOST_BYTES_OF_HEADERS + (member.size if member else 0)
        return member

    def _text(self, member: tarfile.TarInfo | None, name: str) -> bytes:
        if member is None or member.name != name or not member.isreg():
            raise damaged(f"{name} does not stand where it should")
        if member.size > _MOST_BYTES_OF_TEXT:
            raise unsafe(f"{name} has {member.size} bytes")
        with _readable():
            return cast(IO[bytes], self._archive.extractfile(member)).read()


@contextlib.contextmanager
def open_carrier(stream: IO[bytes]) -> Iterator[Carrier]:
    """Reads the head of a .kbundle.  Raises `Refused` (`kbundle-damaged`, `kbundle-unsafe`),
    `Unusable` (`kbundle-newer`), and what reading the stream raises."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW)
    with contextlib.ExitStack() as opened:
        with _readable():
            source = decompressor.stream_reader(stream, read_across_frames=True, closefd=False)
            meter = _Meter(opened.enter_context(source))
            archive = opened.enter_context(tarfile.open(fileobj=cast(IO[bytes], meter), mode="r|"))
        yield Carrier(archive, meter)


class _Meter:
    """The unpacked stream, of which no more than `left` bytes may be read until that is renewed."""

    def __init__(self, source: zstandard.ZstdDecompressionReader) -> None:
        self._source = source
        self.left = _MOST_BYTES_OF_HEADERS

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise unsafe("what stands between two files has no end")
        return data


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    """Turns what tar and zstd complain of into `Refused` (`kbundle-damaged`)."""
    try:
        yield
    except (tarfile.TarError, zstandard.ZstdError, EOFError) as error:
        raise damaged(str(error) or "it ends too early") from error
