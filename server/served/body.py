"""A body: the bytes of a file, or of a part of one, that are answered under a build ID."""

from __future__ import annotations

from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from multidict import CIMultiDict, CIMultiDictProxy


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """`size` bytes of the file `path` from `offset` on.

    `kernel` is the key of the kernel that it belongs to, "" of none.  `etag` is strong and without
    its quotes; `modified` in seconds since the epoch.  `headers` are those of a whole answer, made
    once because a hot body is answered thousands of times a second.
    """

    path: Path
    offset: int
    size: int
    kernel: str
    etag: str
    modified: int
    headers: CIMultiDictProxy[str]

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
) -> Body:
    """A body with its headers; `name` is that of the file in the `archive` that it came in.

    X-DEBUGINFOD-SIZE is that of the content, whatever encoding it travels in.
    """
    headers = CIMultiDict(
        {
            "Content-Type": "application/octet-stream",
            "Cache-Control": cache_control,
            "ETag": f'"{etag}"',
            "Last-Modified": formatdate(int(modified), usegmt=True),
            "Accept-Ranges": "bytes",
            "Vary": "Accept-Encoding",
            "X-DEBUGINFOD-SIZE": str(size),
            "X-DEBUGINFOD-FILE": name,
            "X-DEBUGINFOD-ARCHIVE": archive,
        }
    )
    return Body(
        path=path,
        offset=offset,
        size=size,
        kernel=kernel,
        etag=etag,
        modified=int(modified),
        headers=CIMultiDictProxy(headers),
    )
