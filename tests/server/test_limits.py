"""What one client may take: requests a second, large answers at once, whose address counts."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest
from aiohttp import web
from multidict import CIMultiDict

from kernsym.distros import Unusable
from kernsym.server.config import Options
from kernsym.server.gate import limits
from kernsym.server.gate.limits import Limits, TooManyRequests, Turns


class Clock:
    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "time", clock)
    return clock


def test_a_burst_then_a_rate(clock: Clock) -> None:
    limit = Limits(Options(requests_per_second=10, requests_burst=3))
    for _ in range(3):
        limit.count("a")
    with pytest.raises(TooManyRequests) as caught:
        limit.count("a")
    assert caught.value.retry_after == 1
    limit.count("b")  # another client has its own
    clock.now += 0.1
    limit.count("a")
    with pytest.raises(TooManyRequests):
        limit.count("a")
    clock.now += 3600  # a long rest gives no more than the burst
    for _ in range(3):
        limit.count("a")
    with pytest.raises(TooManyRequests):
        limit.count("a")


def test_a_slow_rate_says_how_long_to_wait(clock: Clock) -> None:
    limit = Limits(Options(requests_per_second=0.1, requests_burst=0))
    limit.count("a")
    with pytest.raises(TooManyRequests) as caught:
        limit.count("a")
    assert caught.value.retry_after == 10


def test_the_memory_of_clients_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_MOST_CLIENTS", 5)
    limit = Limits(Options(requests_per_second=1, requests_burst=1))
    for number in range(100):
        limit.count(str(number))
    assert len(limit._buckets) == 5


def request(address: str, *forwarded: str) -> web.Request:
    headers = CIMultiDict(("X-Forwarded-For", value) for value in forwarded)
    return cast(web.Request, SimpleNamespace(remote=address, headers=headers))


@pytest.mark.parametrize(
    ("address", "forwarded", "client"),
    [
        ("9.9.9.9", (), "9.9.9.9"),
        ("9.9.9.9", ("1.1.1.1",), "9.9.9.9"),  # anybody can write that
        ("10.0.0.1", ("1.1.1.1",), "1.1.1.1"),
        ("10.0.0.1", ("6.6.6.6, 1.1.1.1",), "1.1.1.1"),  # the first was written by the client
        ("10.0.0.1", ("1.1.1.1", "10.0.0.2"), "1.1.1.1"),
        ("10.0.0.1", ("6.6.6.6, 1.1.1.1, 10.0.0.2",), "1.1.1.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("10.0.0.1", ("unknown",), "unknown"),
        ("::1", ("2001:db8::1",), "2001:db8::1"),
        ("", ("6.6.6.6", "1.1.1.1"), "1.1.1.1"),  # of a worker to its fetcher
        ("", (), ""),
    ],
)
def test_only_trusted_proxies_say_for_whom_they_ask(
    address: str, forwarded: tuple[str, ...], client: str
) -> None:
    limit = Limits(Options(trusted_proxies=("10.0.0.0/8", "::1")))
    assert limit.address_of(request(address, *forwarded)) == client


def test_a_proxy_that_is_no_address_is_a_broken_configuration() -> None:
    with pytest.raises(Unusable, match="trusted_proxies"):
        Limits(Options(trusted_proxies=("proxy.example",)))


class Takers:
    """Takes turns for clients and notes who has one."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self.order: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}

    async def take(self, name: str) -> None:
        """`name`: the client, and a number."""
        self._ends[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._take(name))
        await asyncio.sleep(0)

    async def _take(self, name: str) -> None:
        async with self._turns.turn(name[0]):
            self.order.append(name)
            await self._ends[name].wait()

    async def end(self, name: str) -> None:
        self._ends[name].set()
        await self.tasks[name]
        for _ in range(3):
            await asyncio.sleep(0)


async def test_turns_go_from_client_to_client() -> None:
    takers = Takers(Turns(2, 2))
    for name in ("a1", "a2", "a3", "a4", "b1", "b2", "c1"):
        await takers.take(name)
    assert takers.order == ["a1", "a2"]
    for name in ("a1", "a2", "a3", "b1", "c1", "a4"):
        await takers.end(name)
    assert takers.order == ["a1", "a2", "a3", "b1", "c1", "a4", "b2"]
    await takers.end("b2")


async def test_one_client_leaves_room_for_others() -> None:
    takers = Takers(Turns(4, 2))
    for name in ("a1", "a2", "a3", "b1"):
        await takers.take(name)
    assert takers.order == ["a1", "a2", "b1"]
    await takers.end("b1")
    assert takers.order == ["a1", "a2", "b1"]
    await takers.end("a1")
    assert takers.order[-1] == "a3"
    await takers.end("a2")
    await takers.end("a3")


async def test_who_waits_too_long_is_told_so_and_who_goes_leaves_nothing() -> None:
    turns = Turns(1, 1, patience=0.05)
    takers = Takers(turns)
    await takers.take("a1")
    with pytest.raises(TooManyRequests):
        async with turns.turn("b"):
            pass
    await takers.take("c1")
    takers.tasks["c1"].cancel()
    await asyncio.gather(takers.tasks["c1"], return_exceptions=True)
    await takers.end("a1")
    async with turns.turn("d"):
        pass
    assert not turns._waiting and not turns._running


async def test_a_turn_that_came_while_its_taker_went_is_given_on() -> None:
    turns = Turns(1, 1)
    takers = Takers(turns)
    for name in ("a1", "b1", "c1"):
        await takers.take(name)
    takers._ends["a1"].set()
    await asyncio.sleep(0)
    takers.tasks["b1"].cancel()  # its turn has come, it does not know yet
    await asyncio.gather(takers.tasks["b1"], return_exceptions=True)
    for _ in range(3):
        await asyncio.sleep(0)
    assert takers.order == ["a1", "c1"]
    await takers.end("c1")
    assert not turns._running


async def test_without_a_limit_all_have_their_turn() -> None:
    takers = Takers(Turns(0, 0))
    names = [f"a{number}" for number in range(50)]
    for name in names:
        await takers.take(name)
    assert takers.order == names
    for name in names:
        await takers.end(name)
