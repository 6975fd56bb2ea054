"""Debuginfod servers that misbehave: what they send is not kept, and they are left alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.cache import Foreign, LooseFile
from kernsym.distros import CouldNotFindOut, NotPublished
from kernsym.server.lookup.federation import Asker, Federation
from kernsym.server.lookup.peer import PeerLimits
from tests.elf_writer import BUILD_ID, vmlinux
from tests.server.answering import Answer, serving

CONTENT = vmlinux() + bytes(100_000)
OTHER = vmlinux(build_id="ff" * 20)
LIMITS = PeerLimits(
    connect=1.0,
    first_byte=0.5,
    stall=0.5,
    slow_after=0.3,
    slow_rate=1e5,
    most_bytes=1 << 20,
    first_pause=60.0,
)


async def good(request: web.Request) -> web.StreamResponse:
    return web.Response(body=CONTENT, headers={"X-DEBUGINFOD-ARCHIVE": "a.deb"})


async def missing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPNotFound


async def failing(request: web.Request) -> web.StreamResponse:
    raise web.HTTPInternalServerError


async def silent(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def other_file(request: web.Request) -> web.StreamResponse:
    return web.Response(body=OTHER)


async def no_elf(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b"<html>Log in first")


async def huge(request: web.Request) -> web.StreamResponse:
    return web.Response(body=bytes(2 << 20))


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(bytes(1 << 16))


async def trickling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
    await response.prepare(request)
    for byte in CONTENT:
        await response.write(bytes([byte]))
        await asyncio.sleep(0.05)
    return response


async def stalling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
    await response.prepare(request)
    await response.write(CONTENT[:1000])
    await asyncio.sleep(30)
    return response


async def hanging_up(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": str(len(CONTENT))})
    await response.prepare(request)
    await response.write(CONTENT[:1000])
    assert request.transport is not None
    request.transport.close()
    return response


async def redirecting(request: web.Request) -> web.StreamResponse:
    raise web.HTTPFound(request.path)


async def compressing(request: web.Request) -> web.StreamResponse:
    return web.Response(body=CONTENT, headers={"Content-Encoding": "gzip"})


async def with_federation(
    folder: Path,
    work: Callable[[Federation], Awaitable[None]],
    *answers: Answer,
    limits: PeerLimits = LIMITS,
) -> None:
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(answer)) for answer in answers]
        foreign = Foreign(folder / "foreign", 1 << 30, folder / "lock")
        await work(await stack.enter_async_context(Federation(urls, foreign, limits=limits)))


async def ask(federation: Federation, artefact: str = "debuginfo") -> LooseFile:
    return await federation.find(BUILD_ID, artefact, Asker(address="127.0.0.1"))


BAD = {
    failing: "answered 500",
    silent: "does not answer|stopped sending",
    other_file: f"sent a file with the build ID {'ff' * 20}",
    no_elf: "sent a file with no build ID",
    huge: "more than the 1 MiB",
    endless: "more than the 1 MiB",
    trickling: "sends no more than",
    stalling: "stopped sending",
    hanging_up: "connection to .* broke",
    redirecting: "redirects endlessly",
    compressing: "answered 200",
}


@pytest.mark.parametrize(("answer", "reason"), BAD.items(), ids=[bad.__name__ for bad in BAD])
async def test_a_bad_answer_is_not_kept_and_its_server_left_alone(
    tmp_path: Path, answer: Answer, reason: str
) -> None:
    async def work(federation: Federation) -> None:
        with pytest.raises(CouldNotFindOut) as first:
            await ask(federation)
        (line,) = first.value.context
        assert line.startswith("127.0.0.1:")
        with pytest.raises(AssertionError, match=reason):
            raise AssertionError(line)
        (state,) = federation.states()
        assert (state.errors, state.failures, state.hits) == (1, 1, 0)
        assert 50 < state.paused <= 60
        with pytest.raises(CouldNotFindOut) as second:
            await ask(federation)
        assert "not asked for another" in second.value.context[0]
        assert federation.states()[0].errors == 1, "it was not asked again"
        assert federation.kept(BUILD_ID, "debuginfo") is None

    await with_federation(tmp_path, work, answer)
    assert not [path for path in (tmp_path / "foreign").rglob("*") if path.is_file()]


@pytest.mark.parametrize("answer", BAD, ids=[bad.__name__ for bad in BAD])
async def test_a_bad_server_does_not_keep_a_good_one_from_answering(
    tmp_path: Path, answer: Answer
) -> None:
    async def work(federation: Federation) -> None:
        found = await ask(federation)
        assert found.path.read_bytes() == CONTENT
        assert (found.archive, found.checked) == ("a.deb", True)

    await with_federation(tmp_path, work, answer, good)


async def test_all_are_asked_at_once(tmp_path: Path) -> None:
    """Each answers only when both were asked."""
    asked = 0
    both = asyncio.Event()

    async def meeting(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 2:
            both.set()
        await both.wait()
        return await good(request)

    async def work(federation: Federation) -> None:
        assert (await ask(federation)).path.read_bytes() == CONTENT

    await with_federation(tmp_path, work, meeting, meeting)


async def test_only_when_all_say_no_it_is_a_miss(tmp_path: Path) -> None:
    async def sure(federation: Federation) -> None:
        with pytest.raises(NotPublished) as miss:
            await ask(federation)
        assert [line.partition(": ")[2] for line in miss.value.context] == ["does not have it"] * 2

    async def unsure(federation: Federation) -> None:
        with pytest.raises(CouldNotFindOut):
            await ask(federation)

    await with_federation(tmp_path, sure, missing, missing)
    await with_federation(tmp_path, unsure, missing, failing)


async def test_the_pause_grows_and_ends_with_a_good_answer(tmp_path: Path) -> None:
    answers = iter([failing] * 4 + [good])

    async def recovering(request: web.Request) -> web.StreamResponse:
        return await next(answers)(request)

    async def work(federation: Federation) -> None:
        pauses = []
        for _ in range(4):
            with pytest.raises(CouldNotFindOut):
                await ask(federation)
            (state,) = federation.states()
            pauses.append(state.paused)
            await asyncio.sleep(state.paused)
        assert 0.1 < pauses[1] <= 0.2 < pauses[3] <= 0.3, "no longer than the longest"
        await ask(federation)
        assert federation.states()[0].failures == 0

    quick = replace(LIMITS, first_pause=0.1, longest_pause=0.3)
    await with_federation(tmp_path, work, recovering, limits=quick)


async def test_a_source_file_is_kept_apart_and_not_called_checked(tmp_path: Path) -> None:
    asked = []

    async def source(request: web.Request) -> web.StreamResponse:
        asked.append(request.raw_path)
        return web.Response(body=b"int main;\n")

    async def work(federation: Federation) -> None:
        for _ in range(2):
            found = await ask(federation, "source /usr/src/a b/../c%.c")
            assert (found.path.read_bytes(), found.checked) == (b"int main;\n", False)
        kept = federation.kept(BUILD_ID, "source /usr/src/a b/../c%.c")
        assert kept is not None and not kept.checked
        assert federation.kept(BUILD_ID, "debuginfo") is None

    await with_federation(tmp_path, work, source)
    assert asked[0] == f"/buildid/{BUILD_ID}/source//usr/src/a%20b/../c%25.c"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    foreign = Foreign(tmp_path / "foreign", 250, tmp_path / "lock")
    for number in range(4):
        with foreign.incoming() as came:
            came.write_bytes(bytes(100))
            build_id = f"{number:040x}"
            said = LooseFile(build_id=build_id, path=came, name="n", archive="a", origin="o")
            foreign.keep(said, "debuginfo")
    held = [number for number in range(4) if foreign.find(f"{number:040x}", "debuginfo")]
    assert held == [2, 3]
    assert not list((tmp_path / "foreign/incoming").iterdir())
