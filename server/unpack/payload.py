"""The payload of a package of any kind, as a stream of members."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kernsym.distros import Refused
from kernsym.server.growing import ByteSource
from kernsym.server.unpack import deb, rpm, rpm_header
from kernsym.server.unpack.archive import BLOCK, Archive, open_archive
from kernsym.server.unpack.blocks import find_blocks, unpacked_in_order
from kernsym.server.unpack.deb import Payload, corrupt

_KINDS = {deb.MAGIC: deb.find_payload, rpm_header.MAGIC: rpm.find_payload}


class Stopped(Exception):
    """The caller asked to stop."""


@contextlib.contextmanager
def open_payload(package: ByteSource, stop: Callable[[], bool]) -> Iterator[Archive]:
    """The packed files of a package.  `stop` is asked at every read and ends it with `Stopped`.

    Raises `Refused` (`package-corrupt`, `package-kind-unknown`), and what kept the package from
    coming.
    """
    payload = _find_payload(package)
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
    raise Refused("package-kind-unknown", "what came is neither a Debian package nor an RPM")
