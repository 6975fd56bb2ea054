"""Talking to mirrors: what is asked how often, what is an answer, what is said of failures."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import CouldNotFindOut, KernsymError, Refused, Unusable
from kernsym.server.mirrors.mirror_errors import TryAgain, public
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


@pytest.mark.parametrize("status", [404, 410])
async def test_what_a_mirror_does_not_have_is_none_and_asked_once(
    mirror: UpstreamServer, upstream: Upstream, status: int
) -> None:
    mirror.status_for = lambda path, hit: status
    assert await upstream.page(f"{mirror.url}/Packages") is None
    assert mirror.hits["/Packages"] == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503])
async def test_a_failing_mirror_is_asked_again(
    mirror: UpstreamServer, upstream: Upstream, status: int
) -> None:
    mirror.status_for = lambda path, hit: status if hit < 3 else None
    assert await upstream.page(f"{mirror.url}/Packages") == BODY
    assert mirror.hits["/Packages"] == 3


async def test_patience_ends(mirror: UpstreamServer, upstream: Upstream) -> None:
    mirror.status_for = lambda path, hit: 503
    with pytest.raises(CouldNotFindOut) as unsure:
        await upstream.page(f"{mirror.url}/Packages")
    assert unsure.value.code == "mirror-failing"
    assert mirror.hits["/Packages"] == QUICK.attempts


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, "credentials-missing"), (403, "credentials-missing"), (400, "mirror-refuses")],
)
async def test_a_refusal_is_not_asked_again(
    mirror: UpstreamServer, upstream: Upstream, status: int, code: str
) -> None:
    mirror.status_for = lambda path, hit: status
    with pytest.raises(CouldNotFindOut) as unsure:
        await upstream.page(f"{mirror.url}/Packages")
    assert unsure.value.code == code
    assert mirror.hits["/Packages"] == 1


async def test_a_broken_connection_is_tried_again(
    mirror: UpstreamServer, upstream: Upstream
) -> None:
    mirror.cut_after = 5000
    with pytest.raises(TryAgain) as unsure:
        await upstream.page(f"{mirror.url}/Packages")
    assert unsure.value.code == "mirror-unreachable"
    assert mirror.hits["/Packages"] == QUICK.attempts
    mirror.cut_after = None
    assert await upstream.page(f"{mirror.url}/Packages") == BODY


async def test_retry_after_is_kept(upstream: Upstream) -> None:
    asked: list[float] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(time.monotonic())
        if len(asked) == 1:
            return web.Response(status=429, headers={"Retry-After": "1"})
        return web.Response(body=BODY)

    async with serving(answer) as url:
        assert await upstream.page(url) == BODY
    assert asked[1] - asked[0] >= 1.0


async def test_a_long_retry_after_is_not_waited_for(upstream: Upstream) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=503, headers={"Retry-After": "Fri, 31 Dec 2999 23:59:59 GMT"})

    async with serving(answer) as url:
        with pytest.raises(TryAgain) as unsure:
            await asyncio.wait_for(upstream.page(url), 2)
    assert unsure.value.after is not None and unsure.value.after > 1e9


async def test_a_mirror_that_stops_sending(upstream: Upstream) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"first")
        await asyncio.sleep(2)
        return response

    async with serving(answer) as url:
        with pytest.raises(TryAgain) as unsure:
            await upstream.page(url)
    assert unsure.value.code == "mirror-timeout"


async def test_endless_redirects_and_endless_pages(upstream: Upstream) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "large" not in request.path:
            raise web.HTTPFound("/again")
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(50):
            await response.write(bytes(10_000))
        return response

    async with serving(answer) as url:
        with pytest.raises(CouldNotFindOut, match="redirects"):
            await upstream.page(url)
        with pytest.raises(Refused) as refused:
            await upstream.page(f"{url}/large")
    assert refused.value.code == "page-too-large"


async def test_compressed_files_stay_as_they_are(upstream: Upstream) -> None:
    """Some mirrors label Packages.gz as an encoding, though the digest is of the file."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["User-Agent"])
        return web.Response(body=b"\x1f\x8bpacked", headers={"Content-Encoding": "gzip"})

    async with serving(answer) as url:
        assert await upstream.page(url) == b"\x1f\x8bpacked"
    assert seen[0].startswith("kernsym/")


async def test_a_wrong_digest_is_refused_and_not_kept(
    mirror: UpstreamServer, upstream: Upstream, tmp_path: Path
) -> None:
    with pytest.raises(Refused) as refused:
        await upstream.page(f"{mirror.url}/Packages", digest="sha256:" + "0" * 64)
    assert refused.value.code == "digest-mismatch"
    assert DIGEST.partition(":")[2] in refused.value.context[-1]
    assert not list((tmp_path / "pages").iterdir())


@pytest.mark.parametrize(
    "url",
    ["http://", "http://[::1", "ftp://host/file", "no url", "http://host:99999/"],
)
async def test_odd_urls_are_said(upstream: Upstream, url: str) -> None:
    with pytest.raises(KernsymError) as error:
        await upstream.page(url)
    assert isinstance(error.value, (Unusable, CouldNotFindOut))


async def test_nobody_listens_and_no_secret_is_told(upstream: Upstream) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(CouldNotFindOut) as unsure:
        await upstream.page(f"http://user:secret@127.0.0.1:{port}/Packages")
    error = unsure.value
    assert error.code == "mirror-unreachable"
    told = " ".join((error.message, *error.context, error.hint or ""))
    assert "127.0.0.1" in told
    assert "secret" not in told


async def test_credentials_of_the_url_are_used(upstream: Upstream) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.headers.get("Authorization", ""))

    async with serving(answer) as url:
        with_user = url.replace("://", "://user:secret@")
        assert await upstream.page(with_user) == b"Basic dXNlcjpzZWNyZXQ="


async def test_the_proxy_of_the_environment_is_asked(
    upstream: Upstream,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=f"for {request.host}")

    async with serving(answer) as url:
        monkeypatch.setenv("http_proxy", url)
        assert await upstream.page("http://mirror.invalid/Packages") == b"for mirror.invalid"


async def test_files_are_pages_too(upstream: Upstream, tmp_path: Path) -> None:
    file = tmp_path / "a b" / "Packages"
    assert await upstream.page(file.as_uri()) is None
    file.parent.mkdir()
    file.write_bytes(BODY)
    assert await upstream.page(file.as_uri(), digest=DIGEST) == BODY
    with pytest.raises(Refused):
        await upstream.page(file.as_uri(), digest="sha256:" + "0" * 64)
    with pytest.raises(CouldNotFindOut, match="cannot be read"):
        await upstream.page(file.parent.as_uri())
    file.write_bytes(bytes(QUICK.page_bytes + 1))
    with pytest.raises(Refused, match="has more than"):
        await upstream.page(file.as_uri())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:p%40ss@host/a@b?c", "https://host/a@b"),
        ("http://token@host:8080", "http://host:8080"),
        ("http://user:a@b@host/", "http://host/"),
        ("file:///srv/mirror/a@b", "file:///srv/mirror/a@b"),
        ("http://[::1/", "http://[::1/"),
    ],
)
def test_public(url: str, shown: str) -> None:
    assert public(url) == shown
