"""Mirrors whose ranges are not what they should be: each is found out before anything is used."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import KernsymError
from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_answer import RangesUnusable
from tests.server.answering import serving
from tests.server.bringing import CONTENT, NAME, SIZE
from tests.server.reading_ranges import open_and, read_at
from tests.upstream import UpstreamServer

Fault = Callable[[web.Request, int, int], Awaitable[web.StreamResponse]]


def range_of(
    first: int, last: int, content: bytes = CONTENT, etag: str = '"one"', **headers: str
) -> web.Response:
    """The answer that a sound mirror gives, but for what is told to be otherwise."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    span = f"bytes {first}-{last}/{len(CONTENT)}"
    return web.Response(
        status=206,
        body=content[first : last + 1],
        headers={"ETag": etag, "Content-Range": span, **named},
    )


async def _whole(request: web.Request, first: int, last: int) -> web.Response:
    return web.Response(body=CONTENT, headers={"ETag": '"one"', "Accept-Ranges": "none"})


async def _not_satisfiable(request: web.Request, first: int, last: int) -> web.Response:
    return web.Response(status=416, headers={"Content-Range": "bytes */10"})


async def _other_range(request: web.Request, first: int, last: int) -> web.Response:
    return range_of(first, last, Content_Range=f"bytes {first + 1}-{last + 1}/{SIZE}")


async def _other_size(request: web.Request, first: int, last: int) -> web.Response:
    return range_of(first, last, Content_Range=f"bytes {first}-{last}/{SIZE + 1}")


async def _no_range(request: web.Request, first: int, last: int) -> web.Response:
    answer = range_of(first, last)
    del answer.headers["Content-Range"]
    return answer


async def _compressed(request: web.Request, first: int, last: int) -> web.Response:
    packed = gzip.compress(CONTENT[first : last + 1])
    answer = range_of(first, last, Content_Encoding="gzip")
    answer.body = packed
    return answer


async def _in_pieces(
    request: web.Request, first: int, last: int, sent: bytes
) -> web.StreamResponse:
    """A body whose end nobody announces."""
    span = f"bytes {first}-{last}/{SIZE}"
    answer = web.StreamResponse(status=206, headers={"ETag": '"one"', "Content-Range": span})
    answer.enable_chunked_encoding()
    await answer.prepare(request)
    await answer.write(sent)
    return answer


async def _shorter(request: web.Request, first: int, last: int) -> web.StreamResponse:
    return await _in_pieces(request, first, last, CONTENT[first:last])


async def _longer(request: web.Request, first: int, last: int) -> web.StreamResponse:
    return await _in_pieces(request, first, last, CONTENT[first : last + 1] + b"?")


async def _changed(request: web.Request, first: int, last: int) -> web.Response:
    return range_of(first, last, etag='"two"')


async def _obeys_if_range(request: web.Request, first: int, last: int) -> web.Response:
    assert request.headers["If-Range"] == '"one"'
    return web.Response(body=CONTENT[::-1], headers={"ETag": '"two"'})


FAULTS = [
    _whole,
    _not_satisfiable,
    _other_range,
    _other_size,
    _no_range,
    _compressed,
    _shorter,
    _longer,
    _changed,
    _obeys_if_range,
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_ranges_that_lie_are_refused_early(target: Path, fault: Fault) -> None:
    asked = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        return range_of(first, last) if asked == 1 else await fault(request, first, last)

    async def read(source: RangedPackage) -> None:
        with pytest.raises(RangesUnusable):
            await read_at(source, SIZE - 1, 1)
        with pytest.raises(RangesUnusable):  # nor is anything else given out from now on
            await read_at(source, 0, 1)

    async def run() -> None:
        async with serving(answer) as url:
            await open_and(url, target, read)

    asyncio.run(run())
    assert asked == 2


@pytest.mark.parametrize("first", [_whole, _not_satisfiable, _no_range, _compressed, _longer])
def test_a_mirror_without_ranges_is_known_by_its_first_answer(target: Path, first: Fault) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        begin, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        return await first(request, begin, last)

    async def run() -> None:
        async with serving(answer) as url:
            with pytest.raises(RangesUnusable):
                await open_and(url, target, lambda source: asyncio.sleep(0))

    asyncio.run(run())


def test_a_redirection_to_another_copy_is_refused(target: Path) -> None:
    """As a service does that spreads its clients over mirrors."""
    asked = 0

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        first, last = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        return range_of(first, last, etag=f'"{request.path}"')

    async def run() -> None:
        async with serving(elsewhere) as mirror:

            async def spread(request: web.Request) -> web.StreamResponse:
                nonlocal asked
                asked += 1
                raise web.HTTPFound(f"{mirror}/copy{asked}")

            async def read(source: RangedPackage) -> None:
                assert await read_at(source, 0, 10) == CONTENT[:10]
                with pytest.raises(RangesUnusable, match="several copies"):
                    await read_at(source, SIZE - 1, 1)

            async with serving(spread) as url:
                await open_and(url, target, read)

    asyncio.run(run())


def test_another_package_on_another_day_begins_anew(
    package_mirror: UpstreamServer, target: Path
) -> None:
    """What lies there is of a file that the mirror no longer has."""

    async def read(source: RangedPackage) -> None:
        assert await read_at(source, 0, 10) == CONTENT[:10]

    asyncio.run(open_and(package_mirror.url, target, read))
    (package_mirror.root / NAME).write_bytes(CONTENT[::-1])

    async def read_more(source: RangedPackage) -> None:
        with pytest.raises(KernsymError, match="changed on the mirror"):
            await read_at(source, SIZE - 10, 10)

    asyncio.run(open_and(package_mirror.url, target, read_more))
