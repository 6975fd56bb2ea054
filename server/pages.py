"""The pages that mirrors gave us, on disk: asked for again only as far as needed."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path

from kernsym.server.disk import writing

_UNUSED_DAYS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPage:
    """A page as it came.  `age`: seconds since a mirror last confirmed it.  `etag` and
    `modified` are its validators, "" where the mirror gave none."""

    body: bytes
    age: float
    etag: str
    modified: str


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
            age = time.time() - path.stat().st_mtime
            head, _, body = path.read_bytes().partition(b"\n")
            validators = json.loads(head)
            page = HeldPage(
                body=body, age=age, etag=validators["etag"], modified=validators["modified"]
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        algorithm, _, announced = (digest or "").partition(":")
        if digest and hashlib.new(algorithm, body).hexdigest() != announced:
            return None
        return page

    def keep(self, url: str, digest: str | None, body: bytes, *, etag: str, modified: str) -> None:
        """Keep a page.  Raises `Unusable` when it cannot be written."""
        path = self._path(url, digest)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        head = json.dumps({"etag": etag, "modified": modified}).encode()
        with writing(path):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside.write_bytes(head + b"\n" + body)
            beside.replace(path)

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
