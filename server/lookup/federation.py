"""Other debuginfod servers, for what we cannot get ourselves: all are asked at once, the first good
answer is checked and kept.

Questions carry who asked (X-Forwarded-For) and with what program (User-Agent), to which we add our
own name.  elfutils' debuginfod passes both on, so servers that ask each other come to an end.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import aiohttp
from yarl import URL

from kernsym.cache import Foreign, LooseFile
from kernsym.cache.messages import Metadata
from kernsym.distros import CouldNotFindOut, KernsymError, NotPublished, Refused
from kernsym.server.binaries import elf
from kernsym.server.config import Options
from kernsym.server.disk import writing
from kernsym.server.lookup.peer import Peer, PeerLimits, PeerState
from kernsym.server.lookup.peer_metadata import peer_metadata

_MOST_PER_PEER = 16
_TOO_FAR = "other servers: not asked, the question came from us or was forwarded too often"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who wants a file, as an HTTP request tells: the address that it came from, and headers."""

    address: str = ""
    forwarded_for: tuple[str, ...] = ()
    user_agent: str = ""


def peer_urls(options: Options, environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The servers that are configured.  DEBUGINFOD_URLS may leave out the scheme, and hold words
    that are no addresses: those are passed over."""
    named = environment.get("DEBUGINFOD_URLS", "") if options.upstreams_from_environment else ""
    urls = (
        url if "://" in url else f"http://{url}" for url in (*options.upstreams, *named.split())
    )
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls if _is_address(url)))


def _is_address(url: str) -> bool:
    try:
        return URL(url).scheme in ("http", "https") and bool(URL(url).host)
    except ValueError:
        return False


class Federation:
    """The servers at `urls`.  An async context manager.

    `most_hops`: a request that was forwarded so often is not forwarded again.
    """

    def __init__(
        self,
        urls: Sequence[str],
        foreign: Foreign,
        *,
        limits: PeerLimits | None = None,
        most_hops: int = 8,
    ) -> None:
        limits = limits or PeerLimits()
        self._peers = tuple(Peer(url, limits) for url in urls)
        self._foreign = foreign
        self._most_hops = most_hops
        self._name = f"kernsym/{version('kernsym')} ({secrets.token_hex(6)})"
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Federation:
        self._session = aiohttp.ClientSession(
            auto_decompress=False,
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=_MOST_PER_PEER),
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

    def states(self) -> tuple[PeerState, ...]:
        """How the servers do, for metrics."""
        return tuple(peer.state() for peer in self._peers)

    def kept(self, build_id: str, artefact: str) -> LooseFile | None:
        """What one of them gave us before."""
        return self._foreign.find(build_id, artefact)

    def asked_for(self, asker: Asker) -> tuple[str, ...]:
        """The servers that would be asked for this asker; none at the end of a chain or loop."""
        looped = self._name in asker.user_agent or len(asker.forwarded_for) >= self._most_hops
        return () if looped else tuple(peer.url for peer in self._peers)

    async def find(self, build_id: str, artefact: str, asker: Asker) -> LooseFile:
        """The file of a build ID: `debuginfo`, `executable` or `source PATH`.

        Raises `NotPublished` (`not-held`) when every server says that it has none, else
        `CouldNotFindOut` (`upstream-failing`); the context has each one's answer.
        """
        turn = asyncio.Lock()
        asked = self._peers if self.asked_for(asker) else ()
        tasks = {
            asyncio.create_task(self._ask(peer, build_id, artefact, asker, turn)): peer
            for peer in asked
        }
        answers = [_TOO_FAR] if self._peers and not asked else []
        sure, pending = True, set(tasks)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    try:
                        if (found := task.result()) is not None:
                            return found
                        answers.append(f"{tasks[task].host}: does not have it")
                    except KernsymError as error:
                        sure = False
                        answers.append(f"{tasks[task].host}: {error.message}")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if sure:
            raise NotPublished("not-held", "no server has it", context=tuple(answers))
        raise CouldNotFindOut(
            "upstream-failing", "not every server could be asked", context=tuple(answers)
        )

    async def metadata(self, query: Mapping[str, str], asker: Asker) -> Metadata:
        """What the servers list for a query of `/metadata`, as far as they are well."""
        asked = [peer for peer in self._peers if self.asked_for(asker)]
        well = [peer.url for peer in asked if not peer.state().paused]
        found = await peer_metadata(self._opened(), well, query, self._headers(asker))
        return replace(found, complete=found.complete and len(well) == len(asked))

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("a Federation is used inside `async with`")
        return self._session

    async def _ask(
        self, peer: Peer, build_id: str, artefact: str, asker: Asker, turn: asyncio.Lock
    ) -> LooseFile | None:
        kind, _, name = artefact.partition(" ")
        path = f"/buildid/{build_id}/{kind}" + (f"/{quote(name, safe='/')}" if name else "")

        def check(came: Path) -> None:
            if kind != "source":
                _require_build_id(came, build_id)

        with writing(self._foreign.root), self._foreign.incoming() as came:
            headers = self._headers(asker)
            arrival = await peer.bring(self._opened(), path, headers, came, turn, check)
            if arrival is None:
                return None
            file = LooseFile(
                build_id=build_id,
                path=came,
                name=arrival.name,
                archive=arrival.archive,
                origin=peer.host,
                sha256=arrival.sha256,
            )
            return await asyncio.to_thread(self._foreign.keep, file, artefact)

    def _headers(self, asker: Asker) -> dict[str, str]:
        """As elfutils: the asker's own program goes along, and the way that the question took."""
        way = (*asker.forwarded_for, *filter(None, (asker.address,)))
        headers = {
            "User-Agent": f"{asker.user_agent} {self._name}".strip(),
            "Accept-Encoding": "identity",
        }
        return headers | ({"X-Forwarded-For": ", ".join(way)} if way else {})


def _require_build_id(came: Path, build_id: str) -> None:
    """Raises `Refused` (`build-id-mismatch`) unless it is the build ID that a file carries."""
    try:
        found = elf.build_id(came)
    except Refused:
        found = None
    if found != build_id:
        shown = f"the build ID {found}" if found else "no build ID"
        raise Refused("build-id-mismatch", f"sent a file with {shown}")
