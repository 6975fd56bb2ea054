"""Requests to mirrors, one at a time, each in the first way that is let in."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

import aiohttp

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.credentials import Access, Credentials
from kernsym.server.mirrors.mirror_errors import CLOSED, explain, host_of, public, require_answer

_MOST_REDIRECTS = 5
_LISTEN_SECONDS = 3.0
# What OpenSSL calls the alerts of a server that demands a client certificate, or another one.
_WANTS_A_CERTIFICATE = re.compile(
    "CERTIFICATE_REQUIRED|ALERT_(?:BAD_CERTIFICATE|CERTIFICATE|UNKNOWN_CA|HANDSHAKE_FAILURE|ACCESS)"
)


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
    list_bytes: int = 2 << 30


class MirrorSession:
    """Connections to mirrors.  An async context manager.  `offline`: none is made."""

    def __init__(self, limits: Limits, credentials: Credentials, *, offline: bool) -> None:
        self._limits = limits
        self._credentials = credentials
        self._offline = offline
        self._contexts: dict[Access, ssl.SSLContext | None] = {}
        self._last: Access | None = None  # the way that was open the last time
        self._session: aiohttp.ClientSession | None = None

    def use(self, credentials: Credentials) -> None:
        """Ask with these from now on; certificates are read again."""
        self._credentials = credentials
        self._contexts.clear()
        self._last = None

    async def __aenter__(self) -> MirrorSession:
        self._session = aiohttp.ClientSession(
            # A compressed index is a file: its digest is over the compressed bytes.
            auto_decompress=False,
            headers={"User-Agent": _user_agent(), "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=self._limits.connect, sock_read=self._limits.stall
            ),
            trust_env=True,
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @contextlib.asynccontextmanager
    async def open(
        self, url: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """One request, not repeated; its answer may be any success, 304, 404, 410 or 416.

        Raises `CouldNotFindOut`: `TryAgain` for broken connections, 429 and 5xx, also while the
        body is read; `credentials-missing` for 401 and 403; `offline`.
        """
        if self._offline:
            raise CouldNotFindOut(
                "offline",
                f"{host_of(url)} is not asked: we are offline",
                context=(f"not asked  {public(url)}",),
                hint="run once without --offline",
            )
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
        refusal, tried, unusable = "", [], []
        for way in ways or (None,):
            try:
                context = await self._context(way)
                answer = await self._ask(url, headers, way, context)
            except CouldNotFindOut as error:  # the credential is there and no good
                unusable.append(error)
                tried.append(error.message)
                continue
            except aiohttp.ClientError as error:
                last = not ways or way is ways[-1]
                wants = await _wants_a_certificate(url, error, context)
                if not wants and (last or not _hung_up(error)):
                    raise
                refusal = "no"
            else:
                if answer.status not in CLOSED:
                    self._last = way or self._last
                    return answer
                refusal = str(answer.status)
                answer.release()
            if way is not None and way.shows_something:
                tried.append(f"{way.origin}: refused")
        if unusable and not refusal:
            raise unusable[0]
        raise self._credentials.missing(url, refusal, tried)

    async def _context(self, way: Access | None) -> ssl.SSLContext | None:
        """What a way connects with.  Raises `CouldNotFindOut` (`credentials-unreadable`)."""
        if way is None:
            return None
        if way not in self._contexts:
            self._contexts[way] = await asyncio.to_thread(way.context)
        return self._contexts[way]

    async def _ask(
        self,
        url: str,
        headers: Mapping[str, str],
        way: Access | None,
        context: ssl.SSLContext | None,
    ) -> aiohttp.ClientResponse:
        if self._session is None:
            raise RuntimeError("a session is used inside `async with`")
        return await self._session.get(
            url,
            headers={**headers, **(way.headers() if way else {})},
            max_redirects=_MOST_REDIRECTS,
            ssl=context or True,
        )


async def _wants_a_certificate(
    url: str, error: aiohttp.ClientError, context: ssl.SSLContext | None
) -> bool:
    """Whether a connection failed for lack of the right client certificate.

    Under TLS 1.3 the server says so after its first bytes, and its hanging up may overtake that:
    to one who connects and says nothing it is said all the same.
    """
    if _WANTS_A_CERTIFICATE.search(str(error)):
        return True
    if not _hung_up(error) or not url.startswith("https:"):
        return False
    parts = urlsplit(url)
    secured = context or ssl.create_default_context()
    try:
        opened = asyncio.open_connection(parts.hostname, parts.port or 443, ssl=secured)
        reader, writer = await asyncio.wait_for(opened, _LISTEN_SECONDS)
        try:
            await asyncio.wait_for(reader.read(1), _LISTEN_SECONDS)
        finally:
            writer.close()
    except (OSError, asyncio.TimeoutError) as said:
        return _WANTS_A_CERTIFICATE.search(str(said)) is not None
    return False


def _hung_up(error: aiohttp.ClientError) -> bool:
    """Whether the connection was made and then lost, as an alert of TLS may look."""
    lost = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)
    return isinstance(error, lost) and not isinstance(error, aiohttp.ClientConnectorError)


def _user_agent() -> str:
    return f"kernsym/{importlib.metadata.version('kernsym')}"
