"""The only code that talks to mirrors: pages and streams, with limits and patience."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import unquote, urlsplit
from weakref import WeakValueDictionary

import aiohttp

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.credentials import Credentials
from kernsym.server.mirrors.mirror_errors import (
    MISSING,
    TryAgain,
    digest_mismatch,
    odd_status,
    too_large,
)
from kernsym.server.mirrors.mirror_session import Limits, MirrorSession
from kernsym.server.mirrors.pages import HeldPage, PageCache, digest_of

__all__ = ["Limits", "Upstream", "file_path", "is_file_url"]

_Answer = TypeVar("_Answer")

_FRESH_SECONDS = 300.0  # mirrors change a few times a day
_SILENT_SECONDS = 120.0  # for so long those without patience take a mirror's silence for granted
_WORTH_A_NEW_START = 1 << 18  # bytes that came before a failure and make it count as the first
_BLOCK = 1 << 20
# Of a mirror that said nothing at all: what it said before may be told instead.
_SILENT = ("mirror-unreachable", "mirror-timeout", "mirror-failing", "offline")

OnStale = Callable[[float, CouldNotFindOut], None]


class Upstream:
    """A client for mirrors, and the pages it keeps in a folder.  An async context manager.

    `offline`: no mirror is asked; pages that are held, and file:// URLs, must do.
    """

    def __init__(
        self,
        pages: Path,
        limits: Limits | None = None,
        *,
        credentials: Credentials | None = None,
        offline: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self._session = MirrorSession(self.limits, credentials or Credentials(), offline=offline)
        self._pages = PageCache(pages)
        # Pages that are being asked for, so that many who want one ask once.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._silent: dict[str, tuple[float, CouldNotFindOut]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def use(self, credentials: Credentials) -> None:
        """Ask with these from now on; certificates are read again."""
        self._session.use(credentials)

    async def __aenter__(self) -> Upstream:
        self._loop = asyncio.get_running_loop()
        await self._session.__aenter__()
        await asyncio.to_thread(self._pages.sweep)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._session.__aexit__(kind, error, traceback)

    def open(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """One request, not repeated; see `MirrorSession.open`."""
        return self._session.open(url, headers)

    def from_thread(self, work: Coroutine[object, object, _Answer]) -> _Answer:
        """The answer of a coroutine of this object, waited for in a thread beside its loop."""
        if self._loop is None:
            raise RuntimeError("an Upstream is used inside `async with`")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def page(
        self,
        url: str,
        *,
        digest: str | None = None,
        fresh: bool = False,
        patient: bool = True,
        on_stale: OnStale | None = None,
    ) -> bytes | None:
        """A small file as bytes, or the names in a folder (`file://.../`); else as `held`."""
        if is_file_url(url) and url.endswith("/"):
            return await asyncio.to_thread(_names, url)
        limit = self.limits.page_bytes
        page = await self.held(
            url, digest=digest, fresh=fresh, limit=limit, patient=patient, on_stale=on_stale
        )
        return await asyncio.to_thread(page.read) if page else None

    async def held(
        self,
        url: str,
        *,
        digest: str | None = None,
        fresh: bool = False,
        limit: int,
        patient: bool = True,
        on_stale: OnStale | None = None,
    ) -> HeldPage | None:
        """A file of the mirror that lies on disk now; None when the mirror has no such file.

        A page of known digest is asked for once and never again.  Another is used for some
        minutes (not if `fresh`), then only confirmed if the mirror can do that.  Of several who
        want it at once, one asks.  When the mirror cannot be asked, `on_stale`, if given, hears
        the age in seconds of what is held, and why; that is the answer then.  Who is not
        `patient` does not wait where somebody waited in vain a moment ago.

        Raises `CouldNotFindOut`, or `Refused` (`digest-mismatch`, `page-too-large`).
        """
        if is_file_url(url):
            return await asyncio.to_thread(_file, url, digest, limit)
        async with self._turns.setdefault(digest or url, asyncio.Lock()):
            page = await asyncio.to_thread(self._pages.find, url, digest)
            if page is None or not (digest or (not fresh and page.age < _FRESH_SECONDS)):
                known = page
                try:
                    page = await self._ask_again(url, digest, known, limit, patient=patient)
                except CouldNotFindOut as error:
                    if known is None or on_stale is None or error.code not in _SILENT:
                        raise
                    on_stale(known.age, error)
        return None if page is None or page.missing else page

    async def _ask_again(
        self, url: str, digest: str | None, known: HeldPage | None, limit: int, *, patient: bool
    ) -> HeldPage | None:
        """What the mirror says, asked several times."""
        since, silence = self._silent.get(url, (0.0, None))
        if silence and not patient and time.monotonic() - since < _SILENT_SECONDS:
            raise CouldNotFindOut(
                silence.code, silence.message, context=silence.context, hint=silence.hint
            )
        self._silent.pop(url, None)
        try:
            return await self.patiently(
                lambda: self._ask(url, digest, known, limit), attempts=self.limits.attempts
            )
        except CouldNotFindOut as error:
            if error.code in _SILENT:
                self._silent[url] = time.monotonic(), error
            raise

    async def patiently(
        self,
        work: Callable[[], Awaitable[_Answer]],
        *,
        attempts: int,
        come: Callable[[], int] = lambda: 0,
    ) -> _Answer:
        """`work`, repeated after growing pauses while it raises `TryAgain`.

        `come` tells how many bytes have come by now: failures are counted anew after progress.
        """
        failures = 0
        while True:
            before = come()
            try:
                return await work()
            except TryAgain as error:
                failures = 1 if come() - before >= _WORTH_A_NEW_START else failures + 1
                pause = error.after or self.limits.first_pause * 2 ** (failures - 1)
                if failures >= attempts or pause > self.limits.longest_pause:
                    raise
                await asyncio.sleep(pause * random.uniform(1.0, 1.5))

    async def _ask(
        self, url: str, digest: str | None, held: HeldPage | None, limit: int
    ) -> HeldPage | None:
        headers = {}
        if held and held.etag:
            headers["If-None-Match"] = held.etag
        elif held and held.modified:
            headers["If-Modified-Since"] = held.modified
        async with self.open(url, headers) as answer:
            if held and answer.status == HTTPStatus.NOT_MODIFIED:
                await asyncio.to_thread(self._pages.confirm, url, digest)
                return held
            if answer.status in MISSING:
                if digest is None:
                    await asyncio.to_thread(self._keep_missing, url)
                return None
            if answer.status != HTTPStatus.OK:
                raise odd_status(url, answer.status)
            await self._keep(url, digest, answer, limit)
        return await asyncio.to_thread(self._pages.find, url, digest)

    def _keep_missing(self, url: str) -> None:
        with self._pages.keeping(url, None, missing=True):
            pass

    async def _keep(
        self, url: str, digest: str | None, answer: aiohttp.ClientResponse, limit: int
    ) -> None:
        """Write an answer's body to disk while it comes."""
        etag, modified = (answer.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        algorithm = digest.partition(":")[0] if digest else "sha256"
        came, size = hashlib.new(algorithm), 0
        with self._pages.keeping(url, digest, etag=etag, modified=modified) as write:
            async for block in answer.content.iter_chunked(_BLOCK):
                size += len(block)
                if size > limit:
                    raise too_large(url, limit)
                came.update(block)
                await asyncio.to_thread(write, block)
            if digest and f"{algorithm}:{came.hexdigest()}" != digest:
                raise digest_mismatch(url, digest, f"{algorithm}:{came.hexdigest()}")


def is_file_url(url: str) -> bool:
    return url.startswith("file://")


def file_path(url: str) -> Path:
    """The path that a file:// URL names."""
    return Path(unquote(urlsplit(url).path))


def _file(url: str, digest: str | None, limit: int) -> HeldPage | None:
    """A file:// URL as a page.  Raises as `Upstream.held`."""
    path = file_path(url)
    try:
        with path.open("rb") as file:
            if path.stat().st_size > limit:
                raise too_large(url, limit)
            came = digest_of(file, digest) if digest else None
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error
    if digest and came != digest:
        raise digest_mismatch(url, digest, str(came))
    return HeldPage(path=path)


def _names(url: str) -> bytes | None:
    """The names in the folder of a file:// URL, a line each."""
    path = file_path(url)
    try:
        return "\n".join(sorted(entry.name for entry in path.iterdir())).encode()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> CouldNotFindOut:
    return CouldNotFindOut("file-unreadable", f"{path} cannot be read: {error.strerror}")
