"""The payload of a package of any kind, as a stream of members."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from kernsym.distros import Refused
from kernsym.server.growing import ByteSource
from kernsym.server.unpack.archive import BLOCK, Archive, open_archive
from kernsym.server.unpack.deb import MAGIC, Payload, corrupt, find_payload

_KINDS = {MAGIC: find_payload}


class Stopped(Exception):
    """The caller asked to stop."""


@contextlib.contextmanager
def open_payload(package: ByteSource, stop: Callable[[], bool]) -> Iterator[Archive]:
    """The packed files of a package.  `stop` is asked at every read and ends it with `Stopped`.

    Raises `Refused` (`package-corrupt`, `package-kind-unknown`), and what kept the package from
    coming.
    """
    payload = _find_payload(package)
    feed = _read(package, payload, stop)
    with open_archive(feed, format_name=payload.format, filter_name=payload.filter) as archive:
        yield archive


def _read(package: ByteSource, payload: Payload, stop: Callable[[], bool]) -> Iterator[bytes]:
    position, end = payload.offset, payload.offset + payload.size
    while position < end:
        if stop():
            raise Stopped
        data = package.read_at(position, min(BLOCK, end - position))
        if not data:
            raise corrupt("it ends before its payload does")
        yield data
        position += len(data)


def _find_payload(package: ByteSource) -> Payload:
    for magic, find in _KINDS.items():
        if package.read_at(0, len(magic)) == magic:
            return find(package)
    raise Refused("package-kind-unknown", "what came is not a Debian package")
