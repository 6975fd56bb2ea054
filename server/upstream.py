"""The only code that talks to mirrors: pages and streams, with limits and patience."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import random
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import unquote, urlsplit

import aiohttp

from kernsym.distros import CouldNotFindOut
from kernsym.server.credentials import Access, Credentials
from kernsym.server.mirror_errors import (
    CLOSED,
    MISSING,
    TryAgain,
    check_digest,
    explain,
    odd_status,
    require_answer,
    too_large,
)
from kernsym.server.pages import HeldPage, PageCache

_Answer = TypeVar("_Answer")

_MOST_REDIRECTS = 5
# What OpenSSL calls the alerts of a server that demands a client certificate, or another one.
_WANTS_A_CERTIFICATE = re.compile(
    "CERTIFICATE_REQUIRED|ALERT_(?:BAD_CERTIFICATE|CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS)"
)
_FRESH_SECONDS = 300.0  # mirrors change a few times a day
_WORTH_A_NEW_START = 1 << 18  # bytes that came before a failure and make it count as the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long and how often to try; seconds and bytes."""

    connect: float = 10.0
    stall: float = 30.0  # between two pieces of an answer
    attempts: int = 3
    download_attempts: int = 7  # in a row and without progress; more than a minute
    first_pause: float = 0.5  # doubled each time
    longest_pause: float = 60.0  # what a mirror may ask for with Retry-After
    page_bytes: int = 256 << 20


class Upstream:
    """A client for mirrors, and the pages it keeps in a folder.  An async context manager."""

    def __init__(
        self,
        pages: Path,
        limits: Limits | None = None,
        *,
        credentials: Credentials | None = None,
    ) -> None:
        self.limits = limits or Limits()
        self._credentials = credentials or Credentials()
        self._contexts: dict[Access, ssl.SSLContext | None] = {}
        self._last: Access | None = None  # the way that was open the last time
        self._pages = PageCache(pages)
        self._session: aiohttp.ClientSession | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def use(self, credentials: Credentials) -> None:
        """Ask with these from now on; certificates are read again."""
        self._credentials = credentials
        self._contexts.clear()
        self._last = None

    async def __aenter__(self) -> Upstream:
        self._loop = asyncio.get_running_loop()
        self._session = aiohttp.ClientSession(
            # A compressed index is a file: its digest is over the compressed bytes.
            auto_decompress=False,
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self.limits.connect, sock_read=self.limits.stall
            ),
            trust_env=True,
        )
        await asyncio.to_thread(self._pages.sweep)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def page(
        self, url: str, *, digest: str | None = None, fresh: bool = False
    ) -> bytes | None:
        """A small file; None when the mirror has no such file.

        A page of known digest is asked for once and never again.  Another is used for some
        minutes (not if `fresh`), then only confirmed if the mirror can do that.

        Raises `CouldNotFindOut`, or `Refused` (`digest-mismatch`, `page-too-large`).
        """
        if is_file_url(url):
            body = await asyncio.to_thread(_read_file, url, self.limits.page_bytes)
            if body is not None:
                check_digest(url, body, digest)
            return body
        held = await asyncio.to_thread(self._pages.find, url, digest)
        if held and (digest or (not fresh and held.age < _FRESH_SECONDS)):
            return held.body
        return await self.patiently(
            lambda: self._ask_page(url, digest, held), attempts=self.limits.attempts
        )

    def from_thread(self, work: Coroutine[object, object, _Answer]) -> _Answer:
        """The answer of a coroutine of this object, waited for in a thread beside its loop."""
        if self._loop is None:
            raise RuntimeError("an Upstream is used inside `async with`")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, not repeated; its answer may be any success, 304, 404, 410 or 416.

        Raises `CouldNotFindOut`: `TryAgain` for broken connections, 429 and 5xx, also while the
        body is read; `credentials-missing` for 401 and 403.
        """
        try:
            async with await self._enter(url, headers or {}) as answer:
                require_answer(url, answer)
                yield answer
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise explain(url, error) from error

    async def _enter(self, url: str, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        """The answer to the first way that is let in."""
        ways = await asyncio.to_thread(self._credentials.ways, url)
        if self._last in ways:
            ways = (self._last, *(way for way in ways if way is not self._last))
        refusal = ""
        for way in ways or (None,):
            try:
                answer = await self._ask(url, headers, way)
            except aiohttp.ClientError as error:
                last = not ways or way is ways[-1]
                if not _WANTS_A_CERTIFICATE.search(str(error)) and (last or not _hung_up(error)):
                    raise
                refusal = "no"
                continue
            if answer.status not in CLOSED:
                self._last = way or self._last
                return answer
            refusal = str(answer.status)
            answer.release()
        raise self._credentials.missing(url, refusal, ways)

    async def _ask(
        self, url: str, headers: Mapping[str, str], way: Access | None
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("an Upstream is used inside `async with`")
        if way is None:
            return await self._session.get(url, headers=headers, max_redirects=_MOST_REDIRECTS)
        if way not in self._contexts:
            self._contexts[way] = await asyncio.to_thread(way.context)
        return await self._session.get(
            url,
            headers={**headers, **way.headers()},
            max_redirects=_MOST_REDIRECTS,
            ssl=self._contexts[way] or True,
        )

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

    async def _ask_page(self, url: str, digest: str | None, held: HeldPage | None) -> bytes | None:
        headers = {}
        if held and held.etag:
            headers["If-None-Match"] = held.etag
        elif held and held.modified:
            headers["If-Modified-Since"] = held.modified
        async with self.open(url, headers) as answer:
            if held and answer.status == HTTPStatus.NOT_MODIFIED:
                await asyncio.to_thread(self._pages.confirm, url, digest)
                return held.body
            if answer.status in MISSING:
                return None
            if answer.status != HTTPStatus.OK:
                raise odd_status(url, answer.status)
            body = await self._read(url, answer)
        check_digest(url, body, digest)
        etag, modified = (answer.headers.get(name, "") for name in ("ETag", "Last-Modified"))
        await asyncio.to_thread(self._pages.keep, url, digest, body, etag=etag, modified=modified)
        return body

    async def _read(self, url: str, answer: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for piece in answer.content.iter_any():
            body += piece
            if len(body) > self.limits.page_bytes:
                raise too_large(url, self.limits.page_bytes)
        return bytes(body)


def _hung_up(error: aiohttp.ClientError) -> bool:
    """Whether the connection was made and then lost, as an alert of TLS may look."""
    lost = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
    return isinstance(error, lost) and not isinstance(error, aiohttp.ClientConnectorError)


def is_file_url(url: str) -> bool:
    return url.startswith("file://")


def file_path(url: str) -> Path:
    """The path that a file:// URL names."""
    return Path(unquote(urlsplit(url).path))


def _read_file(url: str, limit: int) -> bytes | None:
    """The content of a file, or of a folder whose URL ends with `/` the names, a line each."""
    try:
        if url.endswith("/"):
            return "\n".join(sorted(path.name for path in file_path(url).iterdir())).encode()
        with file_path(url).open("rb") as file:
            body = file.read(limit + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CouldNotFindOut(
            "file-unreadable", f"{file_path(url)} cannot be read: {error.strerror}"
        ) from error
    if len(body) > limit:
        raise too_large(url, limit)
    return body


def _user_agent() -> str:
    return f"kernsym/{importlib.metadata.version('kernsym')}"
