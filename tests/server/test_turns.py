"""Work in the background is polite to each host; people do not wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from kernsym.server.mirrors.turns import Turns

HERE, THERE = "http://a.example/x", "https://b.example:8443/x"


async def test_so_many_at_a_host_and_the_others_when_one_ends() -> None:
    turns, running, most = Turns(2), {HERE: 0, THERE: 0}, {HERE: 0, THERE: 0}

    async def download(url: str) -> None:
        async with turns.turn(url, lambda: False):
            running[url] += 1
            most[url] = max(most[url], running[url])
            await asyncio.sleep(0.01)
            running[url] -= 1

    await asyncio.gather(*(download(url) for url in (HERE, THERE) for _ in range(5)))
    assert most == {HERE: 2, THERE: 2} and running == {HERE: 0, THERE: 0}


async def test_a_person_does_not_wait_nor_who_becomes_one() -> None:
    turns, hurried = Turns(1), asyncio.Event()
    async with turns.turn(HERE, lambda: False):
        async with turns.turn(HERE, lambda: True):
            pass
        waiting = asyncio.ensure_future(_take(turns, hurried.is_set))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        hurried.set()
        await waiting


async def test_a_download_that_fails_gives_its_turn_back() -> None:
    turns = Turns(1)
    for _ in range(3):
        with pytest.raises(OSError):
            async with turns.turn(HERE, lambda: False):
                raise OSError
    await asyncio.wait_for(_take(turns, lambda: False), 5)


async def _take(turns: Turns, hurried: Callable[[], bool]) -> None:
    async with turns.turn(HERE, hurried):
        pass
