"""Pages: how often a mirror is asked for one, and when a copy is used."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.upstream import Limits, Upstream
from tests.server.answering import serving
from tests.upstream import UpstreamServer

BODY = b"Package: linux-image\n" * 1000
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
QUICK = Limits(connect=2.0, stall=0.3, first_pause=0.01, longest_pause=5.0, page_bytes=100_000)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "mirror"
    root.mkdir()
    (root / "Packages").write_bytes(BODY)
    with UpstreamServer(root) as server:
        yield server


@pytest.fixture
async def upstream(tmp_path: Path) -> AsyncIterator[Upstream]:
    async with Upstream(tmp_path / "pages", QUICK) as upstream:
        yield upstream


async def test_a_page_of_known_digest_is_asked_for_once(
    mirror: UpstreamServer, upstream: Upstream
) -> None:
    for _ in range(3):
        assert await upstream.page(f"{mirror.url}/Packages", digest=DIGEST, fresh=True) == BODY
    assert mirror.hits["/Packages"] == 1


async def test_another_digest_is_another_page(mirror: UpstreamServer, upstream: Upstream) -> None:
    await upstream.page(f"{mirror.url}/Packages", digest=DIGEST)
    new = b"changed"
    (mirror.root / "Packages").write_bytes(new)
    digest = f"sha256:{hashlib.sha256(new).hexdigest()}"
    assert await upstream.page(f"{mirror.url}/Packages", digest=digest) == new
    assert await upstream.page(f"{mirror.url}/Packages", digest=DIGEST) == BODY


async def test_a_page_is_used_for_a_while_then_confirmed(
    mirror: UpstreamServer, upstream: Upstream, tmp_path: Path
) -> None:
    url = f"{mirror.url}/Packages"
    assert await upstream.page(url) == BODY == await upstream.page(url)
    assert mirror.hits["/Packages"] == 1
    assert await upstream.page(url, fresh=True) == BODY
    assert mirror.hits["/Packages"] == 2
    (mirror.root / "Packages").write_bytes(b"new")
    assert await upstream.page(url) == BODY
    (page,) = (tmp_path / "pages").iterdir()
    os.utime(page, (time.time() - 3600,) * 2)
    assert await upstream.page(url) == b"new"


async def test_a_confirmed_page_is_not_sent_again(upstream: Upstream) -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("If-None-Match"))
        if asked[-1] == '"1"':
            return web.Response(status=304)
        return web.Response(body=BODY, headers={"ETag": '"1"'})

    async with serving(answer) as url:
        assert await upstream.page(url) == BODY == await upstream.page(url, fresh=True)
    assert asked == [None, '"1"']


async def test_a_damaged_copy_of_a_page_is_not_used(
    mirror: UpstreamServer, upstream: Upstream, tmp_path: Path
) -> None:
    await upstream.page(f"{mirror.url}/Packages", digest=DIGEST)
    (page,) = (tmp_path / "pages").iterdir()
    page.write_bytes(page.read_bytes()[:-1])
    assert await upstream.page(f"{mirror.url}/Packages", digest=DIGEST) == BODY
    page.write_bytes(b"\xff")
    assert await upstream.page(f"{mirror.url}/Packages", digest=DIGEST) == BODY
    assert mirror.hits["/Packages"] == 3


async def test_pages_that_nobody_uses_are_swept(tmp_path: Path, mirror: UpstreamServer) -> None:
    pages = tmp_path / "pages"
    async with Upstream(pages, QUICK) as upstream:
        await upstream.page(f"{mirror.url}/Packages")
    (page,) = pages.iterdir()
    os.utime(page, (time.time() - 40 * 86400,) * 2)
    async with Upstream(pages, QUICK):
        assert list(pages.iterdir()) == []


async def test_many_who_want_a_page_at_once_ask_once(
    mirror: UpstreamServer, upstream: Upstream
) -> None:
    asked = [upstream.page(f"{mirror.url}/Packages") for _ in range(8)]
    assert await asyncio.gather(*asked) == [BODY] * 8
    assert mirror.hits["/Packages"] == 1


async def test_who_has_no_patience_does_not_wait_where_somebody_waited_in_vain(
    mirror: UpstreamServer, upstream: Upstream
) -> None:
    mirror.status_for = lambda path, hit: 503
    for patient, asked in ((True, 3), (False, 3), (True, 6)):
        with pytest.raises(CouldNotFindOut):
            await upstream.page(f"{mirror.url}/Packages", patient=patient)
        assert mirror.hits["/Packages"] == asked
    mirror.status_for = lambda path, hit: None
    assert await upstream.page(f"{mirror.url}/Packages") == BODY
    assert await upstream.page(f"{mirror.url}/Packages", fresh=True, patient=False) == BODY
