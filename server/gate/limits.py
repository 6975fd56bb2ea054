"""What one client may take, so that there is something left for the others."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from ipaddress import ip_address, ip_network

from aiohttp import web

from kernsym.distros import CouldNotFindOut, Unusable
from kernsym.server.config import Options, ServerConfig

LARGE_BYTES = 8 << 20
_MOST_CLIENTS = 10_000  # that are remembered
_PATIENCE_SECONDS = 20.0  # debuginfod's clients give up after 90 s without a byte
_WRONG_TOKEN_SECONDS = 1.0
_MOST_WRONG_TOKENS = 16  # of a client, that wait for their answer at the same time

CLIENT = web.RequestKey("client", str)  # a token's id, else an address


class TooManyRequests(CouldNotFindOut):
    """`retry_after` in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__("too-many-requests", message, hint="try again a little later")
        self.retry_after = max(1, math.ceil(retry_after))


# The options that this module follows.
LIMITING = (
    "trusted_proxies",
    "requests_per_second",
    "requests_burst",
    "large_answers",
    "large_answers_per_client",
)


class Limits:
    """Counts what clients take of this process, and holds them to the options.

    Raises `Unusable` (`config-broken`) for proxies that are no addresses.
    """

    def __init__(self, options: Options) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._wrong: Counter[str] = Counter()
        self._follow(options)

    def reconfigure(self, config: ServerConfig) -> None:
        """Take over another configuration; large answers under way no longer count."""
        self._follow(config.options)

    def _follow(self, options: Options) -> None:
        try:
            self._proxies = tuple(ip_network(text) for text in options.trusted_proxies)
        except ValueError as error:
            raise Unusable("config-broken", f"trusted_proxies: {error}") from error
        self._rate = options.requests_per_second
        self._burst = float(max(options.requests_burst, 1))
        self._large = Turns(options.large_answers, options.large_answers_per_client)

    def address_of(self, request: web.Request) -> str:
        """The client's address: the connection's, or behind trusted proxies the one that the first
        of them names in X-Forwarded-For."""
        address = request.remote or ""
        if address and not self._proxies:
            return address
        named = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while self._is_proxy(address) and named:
            address = named.pop().strip() or address
        return address

    def count(self, client: str) -> None:
        """Note a request.  Raises `TooManyRequests`."""
        if not self._rate:
            return
        now = time.monotonic()
        left, then = self._buckets.pop(client, (self._burst, now))
        left = min(self._burst, left + (now - then) * self._rate)
        self._buckets[client] = (left - 1 if left >= 1 else left, now)
        while len(self._buckets) > _MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if left < 1:
            pause = (1 - left) / self._rate
            raise TooManyRequests(f"more than {self._rate:g} requests a second", pause)

    async def slow_down(self, address: str) -> None:
        """Hold back the answer to a wrong token.  Raises `TooManyRequests` where many are held."""
        if self._wrong[address] >= _MOST_WRONG_TOKENS:
            raise TooManyRequests("too many wrong tokens", _WRONG_TOKEN_SECONDS)
        self._wrong[address] += 1
        try:
            await asyncio.sleep(_WRONG_TOKEN_SECONDS)
        finally:
            self._wrong[address] -= 1
            if not self._wrong[address]:
                del self._wrong[address]

    def large_answer(self, request: web.Request) -> AbstractAsyncContextManager[None]:
        """While an answer of more than `LARGE_BYTES` is sent: waits for its turn.

        Raises `TooManyRequests` when that does not come.
        """
        return self._large.turn(request[CLIENT])

    def _is_proxy(self, address: str) -> bool:
        if not address:  # a Unix socket, which only this machine's processes reach
            return True
        try:
            found = ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._proxies)


LIMITS = web.AppKey("limits", Limits)


class Turns:
    """At most `most` at once, `each` of one client; who waits has their turn client by client, so
    that many of one do not stand in the way of another's first.  0: no limit."""

    def __init__(self, most: int, each: int, patience: float = _PATIENCE_SECONDS) -> None:
        self._most = most or math.inf
        self._each = each or math.inf
        self._patience = patience
        self._running: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, client: str) -> AsyncIterator[None]:
        """Raises `TooManyRequests` when the patience is over first."""
        await self._enter(client)
        try:
            yield
        finally:
            self._leave(client)

    async def _enter(self, client: str) -> None:
        if self._may(client) and client not in self._waiting:
            self._running[client] += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append(turn)
        try:
            done, _ = await asyncio.wait({turn}, timeout=self._patience)
        except asyncio.CancelledError:
            if turn.done():
                self._leave(client)
            raise
        finally:
            self._forget(client, turn)
        if not done:
            raise TooManyRequests("too many large files at once", 10)

    def _leave(self, client: str) -> None:
        self._running[client] -= 1
        if not self._running[client]:
            del self._running[client]
        for waiting in list(self._waiting):
            if self._may(waiting):
                self._running[waiting] += 1
                turns = self._waiting[waiting]
                turns.popleft().set_result(None)
                self._waiting.move_to_end(waiting)
                if not turns:
                    del self._waiting[waiting]
                return

    def _may(self, client: str) -> bool:
        return self._running.total() < self._most and self._running[client] < self._each

    def _forget(self, client: str, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(client)
        if turns and turn in turns:
            turns.remove(turn)
            if not turns:
                del self._waiting[client]
