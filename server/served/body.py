"""A body: the bytes of a file, or of a part of one, that are answered under a build ID."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from multidict import CIMultiDict, CIMultiDictProxy

from kernsym.distros import KernsymError
from kernsym.server.jobs.coming import ComingFile

_PLAIN = "/+~: "  # beside letters and digits, in names that headers carry
_FILE_NAMES = ("deb", ".rpm", ".gz", ".xz", ".bz2")  # of packages, and of tarballs


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`size` bytes of the file `path` from `offset` on.

    `kernel` is the key of the kernel that it belongs to, "" of none.  `etag` is strong and without
    its quotes; `modified` in seconds since the epoch.  `headers` are those of a whole answer, made
    once because a hot body is answered thousands of times a second.  `coming`: the file, while not
    all of its bytes are there; nobody knows its etag yet.
    """

    path: Path
    offset: int
    size: int
    kernel: str
    etag: str
    modified: int
    headers: CIMultiDictProxy[str]
    coming: ComingFile | None = None

    def open(self) -> BinaryIO:
        """Opened without going to a thread: that costs more than the opening, unless the folder has
        to be read from a slow disk.  Raises `KernsymError` (`not-held`)."""
        try:
            return self.coming.open() if self.coming else self.path.open("rb", buffering=0)
        except OSError as error:
            raise self.gone() from error

    def gone(self) -> KernsymError:
        """The error for a file that was there a moment ago."""
        return KernsymError("not-held", f"{self.path.name} was removed from the store just now")

    def encoded(self, path: Path, size: int, encoding: str) -> Body:
        """The same content in an encoding, which is a file of its own."""
        etag = f"{self.etag}-{encoding}"
        headers = self.headers.copy()
        headers["ETag"] = f'"{etag}"'
        headers["Content-Encoding"] = encoding
        return replace(
            self,
            path=path,
            offset=0,
            size=size,
            etag=etag,
            headers=CIMultiDictProxy(headers),
        )


def make_body(
    path: Path,
    offset: int,
    size: int,
    *,
    kernel: str,
    etag: str,
    modified: float,
    cache_control: str,
    name: str,
    archive: str,
    unchecked: str = "",
) -> Body:
    """A body with its headers; `name` is that of the file in the `archive` that it came in;
    `unchecked`: what is not sure of it."""
    headers = _headers(size, name, archive, cache_control)
    headers["ETag"] = f'"{etag}"'
    headers["Last-Modified"] = formatdate(int(modified), usegmt=True)
    if unchecked:
        headers["X-KERNSYM-UNCHECKED"] = unchecked
    return Body(
        path=path,
        offset=offset,
        size=size,
        kernel=kernel,
        etag=etag,
        modified=int(modified),
        headers=CIMultiDictProxy(headers),
    )


def coming_body(file: ComingFile, cache_control: str) -> Body:
    """The body of a file that is still being unpacked."""
    headers = _headers(file.size, file.name, archive_of(file.package), cache_control)
    return Body(
        path=Path(file.name),
        offset=0,
        size=file.size,
        kernel="",
        etag="",
        modified=0,
        headers=CIMultiDictProxy(headers),
        coming=file,
    )


def archive_of(package: str) -> str:
    """The file name of a package from its id, which it is but for RPMs."""
    return package if not package or package.endswith(_FILE_NAMES) else f"{package}.rpm"


def _headers(size: int, name: str, archive: str, cache_control: str) -> CIMultiDict[str]:
    """X-DEBUGINFOD-SIZE is that of the content, whatever encoding it travels in."""
    return CIMultiDict(
        {
            "Content-Type": "application/octet-stream",
            "Cache-Control": cache_control,
            "Accept-Ranges": "bytes",
            "Vary": "Accept-Encoding",
            "X-DEBUGINFOD-SIZE": str(size),
            "X-DEBUGINFOD-FILE": quote(name, safe=_PLAIN),
            "X-DEBUGINFOD-ARCHIVE": quote(archive, safe=_PLAIN),
        }
    )
