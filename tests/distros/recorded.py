"""A `Fetch` over a dictionary of recorded pages, strict about digests as the contract says."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping
from typing import IO

from kernsym.distros import Page, Refused, Source
from kernsym.server.mirrors.thread_fetch import unpacked_zstd

KEY = "A" * 40


class Recorded:
    """`pages`: URL -> body.  `asked` keeps the URLs in order.  `unsigned` ones are refused."""

    def __init__(self, pages: Mapping[str, bytes], unsigned: tuple[str, ...] = ()) -> None:
        self.pages = dict(pages)
        self.unsigned = unsigned
        self.asked: list[str] = []

    def page(
        self,
        url: str,
        *,
        sha256: str | None = None,
        digest: str | None = None,
        fresh: bool = False,
    ) -> Page | None:
        self.asked.append(url)
        body = self.pages.get(url)
        if body is None:
            return None
        algorithm, _, announced = (f"sha256:{sha256}" if sha256 else digest or "").partition(":")
        if announced and hashlib.new(algorithm, body).hexdigest() != announced:
            raise Refused("digest-mismatch", f"{url} is not what its index says")
        return Page(url=url, body=body)

    def signed(self, url: str, source: Source, *, detached: str | None = None) -> Page | None:
        page = self.page(url)
        if page is None:
            return None
        if url in self.unsigned or (detached is not None and self.page(detached) is None):
            raise Refused("signature-missing", f"{url} is not signed")
        return Page(url=url, body=page.body, signed_by=KEY)

    def open(self, url: str, *, digest: str) -> IO[bytes] | None:
        page = self.page(url, digest=digest)
        return io.BytesIO(page.body) if page else None

    def zstd(self, packed: IO[bytes]) -> Iterator[bytes]:
        return unpacked_zstd(packed)


def release(files: Mapping[str, bytes], *, by_hash: bool = True, extra: str = "") -> bytes:
    """A Release file that lists `files`, in the form of Debian's."""
    lines = [
        "Origin: Debian",
        "Suite: oldstable",
        "Codename: bookworm",
        "Date: Sat, 11 Jul 2026 09:58:14 UTC",
        f"Acquire-By-Hash: {'yes' if by_hash else 'no'}",
        "Architectures: all amd64 arm64",
        "Components: main contrib",
        "MD5Sum:",
        *(f" {'0' * 32} {len(body):>8} {path}" for path, body in files.items()),
        "SHA256:",
        *(f" {digest(body)} {len(body):>8} {path}" for path, body in files.items()),
    ]
    return ("\n".join(lines) + "\n" + extra).encode()


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
