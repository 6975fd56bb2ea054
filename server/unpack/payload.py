"""The payload of a package of any kind, as a stream of members."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance, require_proportion
from kernsym.server.unpack.archive import Archive, Stopped, open_archive
from kernsym.server.unpack.codecs import gzip
from kernsym.server.unpack.codecs.ahead import in_order
from kernsym.server.unpack.codecs.blocks import find_blocks, unpacked
from kernsym.server.unpack.codecs.streams import unpacked_stream
from kernsym.server.unpack.codecs.zstd import seen_by_nobody
from kernsym.server.unpack.codecs.zstd import unpacked as unpacked_zstd
from kernsym.server.unpack.entering.index_maker import IndexMaker
from kernsym.server.unpack.entering.points import can_be_marked
from kernsym.server.unpack.packages import deb, rpm, rpm_header
from kernsym.server.unpack.packed import Payload, corrupt

_KINDS = {deb.MAGIC: deb.find_payload, rpm_header.MAGIC: rpm.find_payload}
# Of a Debian source package, by libarchive's names.
_GZIP = b"\x1f\x8b"
_TARBALLS = {_GZIP: "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}


@contextlib.contextmanager
def open_payload(
    package: ByteSource,
    stop: Callable[[], bool],
    allowance: Allowance,
    maker: IndexMaker | None = None,
    *,
    gently: bool = False,
) -> Iterator[Archive]:
    """The packed files of a package.  `stop` is asked at every read and ends it with `Stopped`.
    `maker` sees what goes by.  `gently`: with one thread, and little memory where the package keeps
    its readers waiting.

    Raises `Refused` (`package-corrupt`, `package-kind-unknown`), and what kept the package from
    coming.
    """
    payload = find_payload(package)
    with _opened(package, payload, stop, allowance, maker, gently=gently) as archive:
        yield archive


def is_tarball(package: ByteSource) -> bool:
    """Whether a package is a packed tar itself."""
    return _tarball(package) is not None


@contextlib.contextmanager
def open_gzip(
    file: ByteSource, stop: Callable[[], bool], allowance: Allowance
) -> Iterator[Iterator[memoryview]]:
    """The content of a file that is packed with gzip.  Otherwise as `open_payload`."""
    if file.read_at(0, len(_GZIP)) != _GZIP:  # libarchive would give it as it is
        raise corrupt("it is not packed with gzip")
    packed = Payload(offset=0, size=None, format="raw", filter="gzip")
    with _opened(file, packed, stop, allowance) as archive:
        if next(archive.entries(), None) is None:
            raise corrupt("there is nothing in it")
        yield archive.blocks()


@contextlib.contextmanager
def _opened(
    package: ByteSource,
    payload: Payload,
    stop: Callable[[], bool],
    allowance: Allowance,
    maker: IndexMaker | None = None,
    *,
    gently: bool = False,
) -> Iterator[Archive]:
    package = _Counted(package, payload.offset, allowance)
    with _unpacked(package, payload, maker, gently=gently) as pieces:
        feed = _watched(stop, allowance, pieces)
        with open_archive(feed, format_name=payload.format, filter_name="none") as archive:
            yield archive
        for _ in feed:  # what lies behind the archive's end may be damaged as well
            pass


@contextlib.contextmanager
def _unpacked(
    package: ByteSource, payload: Payload, maker: IndexMaker | None, *, gently: bool
) -> Iterator[Iterator[bytes]]:
    """The archive, unpacked in threads; `maker` learns where it can be entered."""
    blocks = find_blocks(package, payload)
    parts: Iterable[Iterator[bytes]] = [unpacked_stream(package, payload)]
    threads, repack = 1, True
    if blocks is not None:
        parts, threads = (unpacked(package, block) for block in blocks.blocks), blocks.threads
        repack = not blocks.are_entrances
    elif payload.filter == "zstd":
        repack = not can_be_marked(package, payload)
        seen = maker.marking() if maker and not repack else seen_by_nobody
        parts = [unpacked_zstd(package, payload, seen)]
    elif payload.filter == "gzip":
        marker = maker.marking_gzip() if maker else None
        parts, repack = [gzip.unpacked(package, payload, marker)], False
    # What is ahead of the reader is then all of the part that it waits for, and soon read.
    with in_order(parts, 1 if gently else threads) as pieces:
        yield maker.packing(pieces) if maker and repack else pieces


class _Counted:
    """A package that tells the allowance how far it was read."""

    def __init__(self, package: ByteSource, start: int, allowance: Allowance) -> None:
        self._package = package
        self._start = start
        self._allowance = allowance

    def read_at(self, offset: int, size: int) -> bytes:
        data = self._package.read_at(offset, size)
        reach = offset + len(data) - self._start
        self._allowance.packed = max(reach, self._allowance.packed or 0)
        return data

    def whole(self) -> int | None:
        return self._package.whole()


def _watched(
    stop: Callable[[], bool], allowance: Allowance, pieces: Iterator[bytes]
) -> Iterator[bytes]:
    """The pieces, or `Stopped`."""
    size = 0
    for piece in pieces:
        if stop():
            raise Stopped
        size += len(piece)
        require_proportion(allowance.packed or 0, size)
        yield piece


def find_payload(package: ByteSource) -> Payload:
    """Where the payload of a package of any kind lies.  Raises as `open_payload`."""
    for magic, find in _KINDS.items():
        if package.read_at(0, len(magic)) == magic:
            return find(package)
    tarball = _tarball(package)
    if tarball is not None:
        return tarball
    raise Refused("package-kind-unknown", "what came is neither a Debian package nor an RPM")


def _tarball(package: ByteSource) -> Payload | None:
    for magic, packing in _TARBALLS.items():
        if package.read_at(0, len(magic)) == magic:
            return Payload(offset=0, size=None, format="tar", filter=packing)
    return None
