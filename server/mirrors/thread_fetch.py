"""The door that the distributions' code is given: synchronous, with signatures checked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import IO

from zstandard import ZstdDecompressor, ZstdError

from kernsym.distros import CouldNotFindOut, Page, Refused, Source
from kernsym.server.mirrors.mirror_errors import public
from kernsym.server.mirrors.pages import ago
from kernsym.server.mirrors.signatures import (
    keyrings_of,
    known_keys,
    verify_clear_signed,
    verify_detached,
)
from kernsym.server.mirrors.upstream import Upstream, is_file_url

_PIECE = 1 << 18
_CLEAR_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"


class ThreadFetch:
    """`kernsym.distros.Fetch` for code that runs in a thread beside the upstream's event loop.

    `weak`: signatures with SHA-1 or DSA are good enough, as `Distro.weakly_signed` says.
    `fingerprints`: of keys that are believed though no keyring has them.  `tell` hears, in words,
    when a mirror cannot be asked and what it said before is used.  `patient`: as `Upstream.held`.
    `names`: what else the page of a folder, by its file:// URL, shall list.
    `fresh`: the mirror is asked, also about what it said a moment ago.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        weak: bool = False,
        fingerprints: Sequence[str] = (),
        patient: bool = True,
        fresh: bool = False,
        tell: Callable[[str], None] = lambda text: None,
        names: Callable[[str], Sequence[str]] = lambda url: (),
    ) -> None:
        self._upstream = upstream
        self._names = names
        self._weak = weak
        self._fingerprints = fingerprints
        self._patient = patient
        self._fresh = fresh
        self._tell = tell
        self._unsure: dict[str, CouldNotFindOut] = {}

    def page(
        self,
        url: str,
        *,
        sha256: str | None = None,
        digest: str | None = None,
        fresh: bool = False,
    ) -> Page | None:
        """As `Fetch.page`."""
        digest = f"sha256:{sha256}" if sha256 else digest
        page = self._page(url, public(url), digest=digest, fresh=fresh)
        if page is None or not url.endswith("/") or not is_file_url(url):
            return page
        listed = (page.body, *(name.encode() for name in self._names(url)))
        return replace(page, body=b"\n".join(listed))

    def _page(
        self, url: str, title: str, *, digest: str | None = None, fresh: bool = False
    ) -> Page | None:
        def on_stale(age: float, error: CouldNotFindOut) -> None:
            self._unsure.setdefault(title, error)
            self._tell(f"using the list of {title} from {ago(age)} ({error.message})")

        asked = self._upstream.page(
            url, digest=digest, fresh=fresh or self._fresh, patient=self._patient, on_stale=on_stale
        )
        body = self._upstream.from_thread(asked)
        return None if body is None else Page(url=url, body=body)

    def signed(self, url: str, source: Source, *, detached: str | None = None) -> Page | None:
        """As `Fetch.signed`.

        Raises `Refused` (`signature-missing`, `signature-bad`) and `CouldNotFindOut`
        (`keyring-missing`) as far as the source demands a signature.
        """
        page = self._page(url, source.place)
        if page is None:
            return None
        if detached is None:
            return self._check_clear_signed(page, source)
        if source.signature == "skip":
            return page
        signature = self._page(detached, source.place)
        if signature is not None:
            signer = self._check_detached(page, signature, source)
            return Page(url=url, body=page.body, signed_by=signer)
        # RPMs carry signatures of their own, which `rpm_signature.voucher` then demands.
        if source.signature == "if-present" or source.kind == "rpm-md":
            return page
        raise Refused(
            "signature-missing",
            "the index is not signed",
            context=(f"no {public(detached)}",),
            hint='to accept it nevertheless, give its [[source]] signature = "if-present"',
        )

    def _check_detached(self, page: Page, signature: Page, source: Source) -> str:
        """Who signed a page; the key may be one that the repository offers, if it is known."""
        keyrings = keyrings_of(source)
        try:
            return verify_detached(page.body, signature.body, keyrings, weak=self._weak)
        except (CouldNotFindOut, Refused):
            if source.signed_by:
                raise
            offered = self._page(f"{page.url.partition('?')[0]}.key", source.place)
            known = known_keys(offered.body, self._fingerprints) if offered else ()
            if not known:
                raise
            return verify_detached(page.body, signature.body, known, weak=self._weak)

    def pop_unsure(self) -> CouldNotFindOut | None:
        """Why the last answers were of earlier, if they were; asked again, nothing."""
        unsure = next(iter(self._unsure.values()), None)
        self._unsure.clear()
        return unsure

    def open(self, url: str, *, digest: str) -> IO[bytes] | None:
        """As `Fetch.open`."""
        limit = self._upstream.limits.list_bytes
        page = self._upstream.from_thread(
            self._upstream.held(url, digest=digest, limit=limit, patient=self._patient)
        )
        return page.open() if page else None

    def _check_clear_signed(self, page: Page, source: Source) -> Page:
        is_signed = page.body.startswith(_CLEAR_SIGNED)
        if source.signature == "skip" or (source.signature == "if-present" and not is_signed):
            return Page(url=page.url, body=unwrap(page.body))
        signed = verify_clear_signed(page.body, keyrings_of(source), weak=self._weak)
        return Page(url=page.url, body=signed.body, signed_by=signed.signed_by)

    def zstd(self, packed: IO[bytes]) -> Iterator[bytes]:
        """As `Fetch.zstd`."""
        return unpacked_zstd(packed)


def unpacked_zstd(packed: IO[bytes]) -> Iterator[bytes]:
    """All frames of zstd data, unpacked in pieces.  Raises `ValueError`."""
    try:
        with ZstdDecompressor().stream_reader(packed, read_across_frames=True) as reader:
            while piece := reader.read(_PIECE):
                yield piece
    except ZstdError as error:
        raise ValueError(str(error)) from error


def unwrap(body: bytes) -> bytes:
    r"""The text of a clear-signed page (RFC 9580, 7), nothing checked; another page as it is.

    >>> unwrap(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n- -a\n"
    ...        b"-----BEGIN PGP SIGNATURE-----\n...")
    b'-a'
    """
    if not body.startswith(_CLEAR_SIGNED):
        return body
    text = body.partition(b"\n\n")[2].partition(b"\n-----BEGIN PGP SIGNATURE-----")[0]
    return re.sub(rb"(?m)^- ", b"", text)
