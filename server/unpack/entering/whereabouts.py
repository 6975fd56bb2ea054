"""Where the members of a package are, so that one can be had without all that comes before it.

an index that an earlier pass left   index_file.py   any package
a tar that is sorted by path         sorted_tar.py   .deb in several xz blocks, with a list
the sizes in an RPM's header         rpm_places.py   .rpm in several xz blocks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.archive import Archive
from kernsym.server.unpack.codecs.blocks import find_entrances
from kernsym.server.unpack.entering.entrances import Entrances, open_at
from kernsym.server.unpack.entering.file_list import listed_files
from kernsym.server.unpack.entering.gzip_points import GzipPointEntrances
from kernsym.server.unpack.entering.index_file import OpenIndex
from kernsym.server.unpack.entering.points import PointEntrances
from kernsym.server.unpack.entering.repack import RepackEntrances
from kernsym.server.unpack.entering.rpm_places import file_digests, member_places
from kernsym.server.unpack.entering.sorted_tar import open_sorted_tar
from kernsym.server.unpack.packages import deb, rpm_header
from kernsym.server.unpack.packed import Payload
from kernsym.server.unpack.payload import find_payload

ListedDigest = tuple[str, str]


class Whereabouts(Protocol):
    """The files of a package that has come whole, and the way to them.  May be used by several
    threads.

    `paths`: of all files, in the order in which they should lie in the archive, and the `rank` of
    each.  `threads`: how many may unpack at once.  `files_of_an_entrance`: how many lie between
    two places where unpacking can begin, on average; at least one.  `digests`: what files have to
    have, with hashlib's name of the algorithm, where what finds them could be wrong.

    Nothing is taken for granted: a file that is not where it should be is `Misplaced`.
    """

    @property
    def paths(self) -> Sequence[str]: ...

    @property
    def rank(self) -> Mapping[str, int]: ...

    @property
    def threads(self) -> int: ...

    @property
    def files_of_an_entrance(self) -> int: ...

    @property
    def digests(self) -> Mapping[str, ListedDigest]: ...

    def open_before(
        self, path: str, stop: Callable[[], bool], *, together: bool
    ) -> AbstractContextManager[Archive]:
        """The archive from a file on, or a little before it.  It is unpacked by several threads
        `together` or by one, and what nobody wants is passed over as far as that can be.

        `stop` is asked at every read and ends it with `Stopped`.
        """
        ...


class Placed:
    """Files whose places in the archive are known, in bytes from its beginning: `Whereabouts`."""

    def __init__(
        self,
        entrances: Entrances,
        places: Mapping[str, int],
        format_name: str,
        digests: Mapping[str, ListedDigest],
    ) -> None:
        self.paths = tuple(sorted(places, key=lambda path: places[path]))
        self.rank = {path: rank for rank, path in enumerate(self.paths)}
        self.threads = entrances.threads
        self.files_of_an_entrance = max(1, len(self.paths) // len(entrances.starts))
        self._entrances = entrances
        self.digests = digests
        self._places = places
        self._format = format_name

    def open_before(
        self, path: str, stop: Callable[[], bool], *, together: bool
    ) -> AbstractContextManager[Archive]:
        position = self._places[path]
        return open_at(self._entrances, position, self._format, stop, together=together)


def find_whereabouts(package: ByteSource, index: OpenIndex | None) -> Whereabouts | None:
    """The way to the files of a package; None when it has to be read through.

    Raises `Refused` (`package-corrupt`, `package-kind-unknown`), and what keeps its beginning from
    coming.
    """
    magic = package.read_at(0, len(deb.MAGIC))  # only one that has begun knows whether it is whole
    if package.whole() is None:
        return None
    if index is not None:
        return _indexed(package, index)
    if magic == deb.MAGIC:
        return open_sorted_tar(package)
    if magic.startswith(rpm_header.MAGIC):
        return _computed(package)
    return None


def _indexed(package: ByteSource, index: OpenIndex) -> Whereabouts | None:
    payload = find_payload(package)
    entrances = _entrances(package, payload, index)
    places = {
        member.path.decode("utf-8", "surrogateescape"): member.position
        for member in index.index.members
    }
    if entrances is None or not places:
        return None
    return Placed(entrances, places, payload.format, _digests(package, payload))


def _digests(package: ByteSource, payload: Payload) -> Mapping[str, ListedDigest]:
    """As the package itself lists them."""
    if payload.format == "cpio":
        return file_digests(package)
    return {path: ("md5", digest) for path, digest in listed_files(package).items()}


def _entrances(package: ByteSource, payload: Payload, index: OpenIndex) -> Entrances | None:
    if index.index.frames:
        return RepackEntrances(index.index.frames, index.read)
    if payload.filter == "zstd":
        return PointEntrances(package, payload, index.index.points, index.read)
    if payload.filter == "gzip":
        return GzipPointEntrances(package, payload, index.index.gzip_points, index.read)
    return find_entrances(package, payload)


def _computed(package: ByteSource) -> Whereabouts | None:
    try:
        payload = find_payload(package)
    except Refused:
        return None
    entrances = find_entrances(package, payload)
    places = member_places(package) if entrances else None
    if entrances is None or not places:
        return None
    return Placed(entrances, places, payload.format, file_digests(package))
