"""One debuginfod server that we ask: how it does, and a file from it into a place of ours."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import aiohttp
from yarl import URL

from kernsym.distros import CouldNotFindOut, KernsymError, Refused
from kernsym.server.disk import require_room, writing
from kernsym.server.mirrors.mirror_errors import (
    MISSING,
    TryAgain,
    explain,
    odd_status,
    public,
    require_answer,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerLimits:
    """How long to wait for a peer, in seconds, and how much to take from it, in bytes."""

    connect: float = 5.0
    first_byte: float = 90.0  # elfutils' own unpacks a vmlinux before it says a word
    stall: float = 30.0  # between two pieces of an answer
    whole: float = 3600.0
    slow_after: float = 15.0  # from then on it must have come with
    slow_rate: float = 16_384.0  # bytes per second on average
    most_bytes: int = 8 << 30
    redirects: int = 5
    first_pause: float = 15.0  # after a failure it is left alone, then twice as long
    longest_pause: float = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerState:
    """How a peer does.  `failures`: in a row; `paused`: seconds until it is asked again."""

    url: str
    hits: int
    misses: int
    errors: int
    failures: int
    paused: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What came with a file: its SHA-256 in hex, and the names that the peer gave it."""

    sha256: str
    name: str
    archive: str


class Peer:
    """The server at `url`.  Belongs to an event loop."""

    def __init__(self, url: str, limits: PeerLimits) -> None:
        self.url = url.rstrip("/")
        self._limits = limits
        self._hits = self._misses = self._errors = self._failures = 0
        self._paused_until = 0.0
        self._last_error = ""

    @property
    def host(self) -> str:
        """Host and port, for people."""
        address = URL(self.url)
        return f"{address.host}:{address.port}"

    def state(self) -> PeerState:
        return PeerState(
            url=public(self.url),
            hits=self._hits,
            misses=self._misses,
            errors=self._errors,
            failures=self._failures,
            paused=max(0.0, self._paused_until - time.monotonic()),
        )

    async def bring(
        self,
        session: aiohttp.ClientSession,
        path: str,
        headers: Mapping[str, str],
        target: Path,
        turn: asyncio.Lock,
        check: Callable[[Path], None],
    ) -> Arrival | None:
        """The file at `path` (percent-encoded, with its slash) into `target`; None when the peer
        does not have it.  `turn` is held while the body comes: of several peers that have it one
        sends it.  `check` raises `Refused` for a wrong file.

        Raises `CouldNotFindOut` or `Refused`; then the peer is left alone for a while.
        """
        if (paused := self.state().paused) > 0:
            raise CouldNotFindOut(
                "upstream-paused", f"not asked for another {paused:.0f} s: {self._last_error}"
            )
        try:
            arrival = await asyncio.wait_for(
                self._bring(session, path, headers, target, turn), self._limits.whole
            )
            if arrival is not None:
                await asyncio.to_thread(check, target)
        except (aiohttp.ClientError, asyncio.TimeoutError) as error:
            raise self._failed(explain(self.url, error)) from error
        except (CouldNotFindOut, Refused) as error:
            raise self._failed(error) from None
        self._failures = 0
        self._hits += arrival is not None
        self._misses += arrival is None
        return arrival

    def _failed(self, error: KernsymError) -> KernsymError:
        """Count a failure, and leave the peer alone; the longer the more there were in a row."""
        self._errors += 1
        self._failures += 1
        self._last_error = error.message
        pause = self._limits.first_pause * 2.0 ** min(self._failures - 1, 20)
        if isinstance(error, TryAgain) and error.after is not None:
            pause = max(pause, error.after)
        self._paused_until = time.monotonic() + min(pause, self._limits.longest_pause)
        return error

    async def _bring(
        self,
        session: aiohttp.ClientSession,
        path: str,
        headers: Mapping[str, str],
        target: Path,
        turn: asyncio.Lock,
    ) -> Arrival | None:
        limits = self._limits
        timeout = aiohttp.ClientTimeout(sock_connect=limits.connect, sock_read=limits.first_byte)
        async with session.get(
            URL(self.url + path, encoded=True),
            headers=headers,
            timeout=timeout,
            max_redirects=limits.redirects,
        ) as answer:
            if answer.status in MISSING:
                return None
            require_answer(self.url, answer)
            if answer.status != HTTPStatus.OK or answer.headers.get("Content-Encoding"):
                raise odd_status(self.url, answer.status)
            async with turn:
                digest = await self._read(answer, target)
        said = answer.headers
        return Arrival(
            sha256=digest,
            name=said.get("X-DEBUGINFOD-FILE", ""),
            archive=said.get("X-DEBUGINFOD-ARCHIVE", ""),
        )

    async def _read(self, answer: aiohttp.ClientResponse, target: Path) -> str:
        """The body into `target`; its SHA-256."""
        self._allow(answer.content_length or 0)
        await asyncio.to_thread(require_room, target.parent, answer.content_length or 0)
        digest = hashlib.sha256()
        began, came = time.monotonic(), 0
        with target.open("wb") as file:

            def write(piece: bytes) -> None:
                with writing(target):
                    digest.update(piece)
                    file.write(piece)

            while piece := await asyncio.wait_for(answer.content.readany(), self._limits.stall):
                came += len(piece)
                self._allow(came)
                elapsed = time.monotonic() - began
                if elapsed > self._limits.slow_after and came < self._limits.slow_rate * elapsed:
                    raise CouldNotFindOut(
                        "upstream-slow", f"sends no more than {came / elapsed:.0f} bytes a second"
                    )
                await asyncio.to_thread(write, piece)
        return digest.hexdigest()

    def _allow(self, size: int) -> None:
        if size > self._limits.most_bytes:
            raise Refused(
                "upstream-too-large",
                f"sends more than the {self._limits.most_bytes >> 20} MiB that are allowed",
            )
