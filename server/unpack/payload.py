"""The payload of a package of any kind, as a stream of members."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack import deb, rpm, rpm_header
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import BLOCK, Archive, open_archive
from kernsym.server.unpack.blocks import find_blocks, unpacked_in_order
from kernsym.server.unpack.deb import Payload, corrupt

_KINDS = {deb.MAGIC: deb.find_payload, rpm_header.MAGIC: rpm.find_payload}
# Of a Debian source package, by libarchive's names.
_GZIP = b"\x1f\x8b"
_TARBALLS = {_GZIP: "gzip", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}


class Stopped(Exception):
    """The caller asked to stop."""


@contextlib.contextmanager
def open_payload(
    package: ByteSource, stop: Callable[[], bool], allowance: Allowance
) -> Iterator[Archive]:
    """The packed files of a package.  `stop` is asked at every read and ends it with `Stopped`.

    Raises `Refused` (`package-corrupt`, `package-kind-unknown`), and what kept the package from
    coming.
    """
    with _opened(package, _find_payload(package), stop, allowance) as archive:
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
    package: ByteSource, payload: Payload, stop: Callable[[], bool], allowance: Allowance
) -> Iterator[Archive]:
    package = _Counted(package, payload.offset, allowance)
    blocks = find_blocks(package, payload)
    if blocks is None:
        feed = _read(package, payload, stop)
        with open_archive(feed, format_name=payload.format, filter_name=payload.filter) as archive:
            yield archive
        return
    with unpacked_in_order(package, blocks) as pieces:
        feed = until(stop, pieces)
        with open_archive(feed, format_name=payload.format, filter_name="none") as archive:
            yield archive
        for _ in feed:  # what lies behind the archive's end may be damaged as well
            pass


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


def until(stop: Callable[[], bool], pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces, or `Stopped`."""
    for piece in pieces:
        if stop():
            raise Stopped
        yield piece


def _read(package: ByteSource, payload: Payload, stop: Callable[[], bool]) -> Iterator[bytes]:
    position = payload.offset
    end = None if payload.size is None else position + payload.size
    while end is None or position < end:
        if stop():
            raise Stopped
        data = package.read_at(position, BLOCK if end is None else min(BLOCK, end - position))
        if not data and end is None:
            return
        if not data:
            raise corrupt("it ends before its payload does")
        yield data
        position += len(data)


def _find_payload(package: ByteSource) -> Payload:
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
