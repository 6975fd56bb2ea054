"""The pages that mirrors gave us, on disk: asked for again only as far as needed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from kernsym.cache.atomic import open_beside
from kernsym.server.disk import writing

_UNUSED_DAYS = 30
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPage:
    """A page as it came, or (`missing`) the answer that there is none.

    Its body is what `path` has from `start` on.  `age`: seconds since a mirror last confirmed it.
    `etag` and `modified` are its validators, "" where the mirror gave none.
    """

    path: Path
    start: int = 0
    age: float = 0.0
    etag: str = ""
    modified: str = ""
    missing: bool = False

    def open(self) -> IO[bytes]:
        """The body as a file.  Raises `OSError`."""
        file = self.path.open("rb")
        file.seek(self.start)
        return file

    def read(self) -> bytes:
        """The whole body.  Raises `OSError`."""
        with self.open() as file:
            return file.read()


class PageCache:
    """Pages by URL, or by digest where one is known; used from threads.

    A file is one line of JSON (the validators) and the body; its time is the last confirmation.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, url: str, digest: str | None) -> HeldPage | None:
        """The page, or None.  With a digest, only a body that has it."""
        path = self._path(url, digest)
        try:
            with path.open("rb") as file:
                head = file.readline()
                age = time.time() - os.fstat(file.fileno()).st_mtime
                if digest and digest_of(file, digest) != digest:
                    return None
            facts = json.loads(head)
            return HeldPage(
                path=path,
                start=len(head),
                age=age,
                etag=facts["etag"],
                modified=facts["modified"],
                missing=facts.get("missing", False),
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    @contextlib.contextmanager
    def keeping(
        self,
        url: str,
        digest: str | None,
        *,
        etag: str = "",
        modified: str = "",
        missing: bool = False,
    ) -> Iterator[Callable[[bytes], None]]:
        """What a body is written with; it is kept if nothing is raised meanwhile.

        `missing`: keep the answer that there is no such page.  Raises `Unusable` when it cannot
        be written.
        """
        path = self._path(url, digest)
        with writing(path):
            self._folder.mkdir(mode=0o770, parents=True, exist_ok=True)
            descriptor, beside = open_beside(path)

        def write(data: bytes) -> None:
            with writing(path):
                file.write(data)

        try:
            with os.fdopen(descriptor, "wb") as file:
                facts = {"etag": etag, "modified": modified, "missing": missing}
                write(json.dumps(facts).encode() + b"\n")
                yield write
                with writing(path):
                    file.flush()
            with writing(path):
                beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def confirm(self, url: str, digest: str | None) -> None:
        """The mirror said that the page is still the same."""
        with contextlib.suppress(OSError):
            os.utime(self._path(url, digest))

    def sweep(self) -> None:
        """Remove what nobody confirmed for a month, and what killed runs left."""
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if path.stat().st_mtime < time.time() - _UNUSED_DAYS * 86400:
                    path.unlink()

    def _path(self, url: str, digest: str | None) -> Path:
        return self._folder / hashlib.sha256((digest or url).encode()).hexdigest()


def digest_of(file: IO[bytes], like: str) -> str:
    """The digest of the rest of a file, by the algorithm of another: `sha256:HEX`."""
    algorithm = like.partition(":")[0]
    digest = hashlib.new(algorithm)
    while piece := file.read(_PIECE):
        digest.update(piece)
    return f"{algorithm}:{digest.hexdigest()}"


def ago(seconds: float) -> str:
    """An age in words.

    >>> ago(100), ago(3 * 3600), ago(50 * 3600)
    ('1 minute ago', '3 hours ago', '2 days ago')
    """
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' * (number > 1)} ago"
    return "just now"
