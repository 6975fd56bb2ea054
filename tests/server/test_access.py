"""Who may do what: roles, expiry, revocation, and the answers to those who may not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kernsym.cache.tokens import TokenRole, add_token, new_token, revoke_token
from kernsym.distros import KernsymError, Unusable
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig
from kernsym.server.gate import access, limits

Client = TestClient[Any, Any]
Connect = Callable[..., "contextlib.AbstractAsyncContextManager[Client]"]

BODY = {"fingerprint": {"release": "1.2.3"}}
READ, FETCH, ADMIN = TokenRole


def bearer(words: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {words}"}


@pytest.fixture
def tokens(tmp_path: Path) -> dict[TokenRole, str]:
    """A token of each role, in the file `tokens`."""
    made = {}
    for role in TokenRole:
        token, made[role] = new_token(role)
        add_token(tmp_path / "tokens", token)
    return made


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Connect:
    monkeypatch.setattr(limits, "_WRONG_TOKEN_SECONDS", 0.01)
    monkeypatch.setattr(access, "_LOOK_SECONDS", 0.0)

    @contextlib.asynccontextmanager
    async def client(**changes: Any) -> AsyncIterator[Client]:
        settings = {
            "store": tmp_path / "store",
            "host": "127.0.0.1",
            "port": 0,
            "tokens_file": tmp_path / "tokens",
            "offline": True,
            **changes,
        }
        async with TestClient(TestServer(build_app(ServerConfig(**settings)))) as made:
            yield made

    return client


Ask = Callable[[Client, dict[str, str]], Awaitable[Any]]

# What is asked, and the status that each role gets: none, read, fetch, admin.
ASKED: list[tuple[Ask, tuple[int, int, int, int]]] = [
    (lambda c, h: c.get("/healthz", headers=h), (200, 200, 200, 200)),
    (lambda c, h: c.get("/api/v1/kernels", headers=h), (200, 200, 200, 200)),
    (lambda c, h: c.get("/api/v1/jobs", headers=h), (200, 200, 200, 200)),
    (lambda c, h: c.get("/metrics", headers=h), (200, 200, 200, 200)),
    (lambda c, h: c.post("/api/v1/identify", json={}, headers=h), (200, 200, 200, 200)),
    (lambda c, h: c.get(f"/buildid/{'ab' * 20}/debuginfo", headers=h), (404, 404, 404, 404)),
    (lambda c, h: c.post("/api/v1/symbols", json=BODY, headers=h), (401, 403, 422, 422)),
    (lambda c, h: c.delete("/api/v1/jobs/x", headers=h), (401, 403, 404, 404)),
    (lambda c, h: c.delete("/api/v1/kernels/a/b/c/d", headers=h), (401, 403, 403, 404)),
]


@pytest.mark.parametrize("open_reads", [True, False])
async def test_each_role_may_do_its_part(
    connect: Connect, tokens: dict[TokenRole, str], open_reads: bool
) -> None:
    async with connect(token_for_reads=not open_reads) as client:
        for number, (ask, statuses) in enumerate(ASKED):
            for words, status in zip((None, *tokens.values()), statuses, strict=True):
                answer = await ask(client, bearer(words) if words else {})
                closed = not open_reads and not words and number
                assert answer.status == (401 if closed else status), (number, words)
                if answer.status in (401, 403):
                    problem = await answer.json()
                    code = "token-required" if answer.status == 401 else "role-missing"
                    assert problem["code"] == code
                    assert answer.headers["WWW-Authenticate"].startswith("Bearer realm=")


async def test_a_wrong_token_is_refused_where_none_is_needed(
    connect: Connect, tokens: dict[TokenRole, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    good = tokens[ADMIN]
    wrong = [
        "x",
        good[:-1],
        good + "x",
        f"{good[:17]}{'A' * 43}",
        "é",
        tokens[READ][:17] + good[17:],
    ]
    async with connect() as client:
        for words in wrong:
            answer = await client.get("/api/v1/kernels", headers=bearer(words))
            assert answer.status == 401, words
            assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
            assert words not in await answer.text() or len(words) < 3
        assert (await client.get("/healthz", headers=bearer("x"))).status == 200
        basic = {"Authorization": "Basic dXNlcjpwYXNz"}  # a proxy's, it is not for us
        assert (await client.get("/api/v1/kernels", headers=basic)).status == 200
    for words in (*wrong[1:5], good):
        assert words not in caplog.text


async def test_the_file_counts_as_it_is_now(
    connect: Connect, tokens: dict[TokenRole, str], tmp_path: Path
) -> None:
    file = tmp_path / "tokens"
    async with connect() as client:

        async def status(words: str) -> int:
            return (await client.get("/api/v1/jobs", headers=bearer(words))).status

        late, words = new_token(READ)
        assert await status(words) == 401
        await asyncio.to_thread(add_token, file, late)
        assert await status(words) == 200
        await asyncio.to_thread(revoke_token, file, late.id)
        assert await status(words) == 401
        await asyncio.to_thread(file.write_text, "nonsense\n")
        assert await status(tokens[READ]) == 200, "a broken file changes nothing"
        await asyncio.to_thread(file.unlink)
        assert await status(tokens[READ]) == 401


async def test_an_expired_token_says_so(connect: Connect, tmp_path: Path) -> None:
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    token, words = new_token(ADMIN, expires=past)
    add_token(tmp_path / "tokens", token)
    async with connect() as client:
        answer = await client.get("/api/v1/jobs", headers=bearer(words))
        assert answer.status == 401 and "has expired" in (await answer.json())["title"]


async def test_the_one_token_of_the_configuration_may_do_anything(connect: Connect) -> None:
    async with connect(token="s3cret", tokens_file=None) as client:
        path = "/api/v1/kernels/a/b/c/d"
        assert (await client.delete(path, headers=bearer("s3cret"))).status == 404
        assert (await client.delete(path, headers=bearer("s3cre"))).status == 401


def test_a_file_that_is_no_longer_configured_lets_nobody_in(
    tmp_path: Path, tokens: dict[TokenRole, str]
) -> None:
    config = ServerConfig(store=tmp_path, host="127.0.0.1", port=0, tokens_file=tmp_path / "tokens")
    known = access.Access(config)
    shown = f"Bearer {tokens[ADMIN]}"
    assert known.requester(shown).role is ADMIN
    known.reconfigure(replace(config, tokens_file=None))
    with pytest.raises(KernsymError, match="does not know"):
        known.requester(shown)


async def test_a_server_without_tokens_takes_no_writes(connect: Connect) -> None:
    async with connect(tokens_file=None) as client:
        answer = await client.post("/api/v1/symbols", json=BODY)
        assert answer.status == 403 and (await answer.json())["code"] == "writes-off"


async def test_guessing_is_slow(
    connect: Connect, tokens: dict[TokenRole, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_WRONG_TOKEN_SECONDS", 0.5)
    async with connect() as client:
        wrong = [client.get("/api/v1/jobs", headers=bearer("x")) for _ in range(20)]
        guesses = asyncio.gather(*wrong)
        good = await client.get("/api/v1/jobs", headers=bearer(tokens[READ]))
        assert good.status == 200 and not guesses.done(), "others do not wait"
        statuses = [answer.status for answer in await guesses]
        assert statuses.count(401) == 16 and statuses.count(429) == 4


def test_a_broken_file_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("nonsense\n")
    config = ServerConfig(
        store=tmp_path / "store", host="127.0.0.1", port=0, tokens_file=tmp_path / "tokens"
    )
    with pytest.raises(Unusable, match="line 1 of"):
        build_app(config)
