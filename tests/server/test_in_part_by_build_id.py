"""Who asks by build ID for what others have brought in part is given it once it is checked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernsym.cache import Held, Store
from kernsym.cache.messages import EventKind, Partial, SymbolsRequest
from kernsym.server.config import ServerConfig
from kernsym.server.lookup.job_files import Readiness
from kernsym.server.lookup.local_search import LocalSearch
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Upstream
from tests.server import small_distro as small
from tests.server.parts import FINGERPRINT, bringing, members, package, publish
from tests.upstream import UpstreamServer


def test_it_waits_for_the_whole(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "mirror"
    root.mkdir()
    publish(monkeypatch, root, package(members(20)))

    async def run(mirror: UpstreamServer) -> None:
        async with bringing(store, mirror) as there, Upstream(store.root / "pages") as upstream:
            config = ServerConfig(store=store.root, host="127.0.0.1", port=0)
            search = LocalSearch(
                store, there.jobs, there.symbols, ThreadFetch(upstream), config, lambda: 0
            )
            mirror.rate = 2_000_000
            job = await there.symbols.start(
                SymbolsRequest(fingerprint=FINGERPRINT, modules=("m03",), partial=Partial.ONLY)
            )
            found = await search.find(
                small.build_id(1), lambda job: None, once=Readiness.BEGUN, demanded=True
            )
            assert isinstance(found, Held)
            assert found.bundle.unchecked == ()
            events = await there.follow(job)
            assert events[-1].kind is EventKind.DONE

    with UpstreamServer(root) as mirror:
        asyncio.run(run(mirror))
