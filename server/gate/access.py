"""Who asks, and whether they may: tokens with roles; reads are open unless configured otherwise."""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from kernsym.cache.tokens import Token, TokenRole, id_of, read_tokens
from kernsym.distros import KernsymError, Unusable
from kernsym.server.config import ServerConfig
from kernsym.server.gate.limits import CLIENT, LARGE_BYTES, LIMITS

log = logging.getLogger(__name__)

_LOOK_SECONDS = 1.0  # how soon a change of the file counts
_SERVER_TOKEN = "server-token"  # the name of who shows the one token of the configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Requester:
    """Who asks.  `name`: the id of their token, "" for those who show none.  `role`: what they may
    do, None: nothing."""

    name: str
    role: TokenRole | None


class Access:
    """Knows the tokens: the one of the configuration, which may do anything, and those of a file,
    which is read again when it changes.  Raises `Unusable` when that file is broken at the start.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._tokens: dict[str, Token] = {}
        self._stamp: tuple[int, ...] = ()
        self._looked = float("-inf")
        self.reconfigure(config)

    def reconfigure(self, config: ServerConfig) -> None:
        """Take over another configuration.  Raises `Unusable` (`tokens-broken`)."""
        self._token = config.token.encode() if config.token else None
        self._file = config.tokens_file
        role = None if config.token_for_reads else TokenRole.READ
        self.anonymous = Requester(name="", role=role)
        if self._file is not None:
            self._read(self._file)
        else:
            self._tokens = {}

    @property
    def any_tokens(self) -> bool:
        """Whether there is a token that lets anybody write."""
        return self._token is not None or bool(self._tokens)

    def requester(self, authorization: str | None) -> Requester:
        """Who shows this Authorization header.  Another scheme than Bearer, a proxy's perhaps,
        counts as none.  Raises `KernsymError` (`token-invalid`)."""
        if not authorization:
            return self.anonymous
        scheme, _, shown = authorization.partition(" ")
        shown = shown.strip()
        if scheme.lower() != "bearer" or not shown:
            return self.anonymous
        if self._token and hmac.compare_digest(shown.encode(errors="replace"), self._token):
            return Requester(name=_SERVER_TOKEN, role=TokenRole.ADMIN)
        self._look()
        token = self._tokens.get(id_of(shown))
        if token is None or not token.is_of(shown):
            raise KernsymError("token-invalid", "the server does not know this token")
        if token.expired():
            raise KernsymError(
                "token-invalid", f"the token {token.id} has expired", hint="ask for a new one"
            )
        return Requester(name=token.id, role=token.role)

    def _look(self) -> None:
        """Read the file again if it has changed.  A broken one changes nothing."""
        if self._file is None or time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if _stamp(self._file) != self._stamp:
            try:
                self._read(self._file)
            except Unusable as error:
                log.error("the tokens stay as they were: %s", error)

    def _read(self, file: Path) -> None:
        self._stamp = _stamp(file)
        tokens = read_tokens(file) if self._stamp else ()
        self._tokens = {token.id: token for token in tokens}
        log.info("%d tokens in %s", len(self._tokens), file)


ACCESS = web.AppKey("access", Access)
OPEN_PATHS = web.AppKey("open_paths", set[str])  # what is answered to everybody, token or not
_REQUESTER = web.RequestKey("requester", Requester)


def requester_of(request: web.Request) -> Requester:
    """Who asks."""
    return request[_REQUESTER]


def require(request: web.Request, role: TokenRole) -> None:
    """Raises `KernsymError` (`token-required`, `role-missing`, `writes-off`) unless the request's
    token allows what the role does."""
    access, asks = request.app[ACCESS], request[_REQUESTER]
    if asks.role is not None and asks.role.allows(role):
        return
    if asks.name:
        text = f"this needs a token with the role {role.value}"
        raise KernsymError("role-missing", f"{text}, the role of {asks.name} is not enough")
    if not access.any_tokens:
        raise KernsymError(
            "writes-off",
            "the server was started without a token and only serves what it holds",
            hint="start it with KERNSYM_TOKEN, token_file or tokens_file",
        )
    raise KernsymError(
        "token-required",
        f"this needs a token with the role {role.value}",
        hint="set KERNSYM_TOKEN to a token that the server knows",
    )


@web.middleware
async def access_middleware(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Find out who asks, whether they may read, and whether they take more than they may; a large
    answer is sent from here, when its turn has come."""
    app = request.app
    if request.path in app[OPEN_PATHS]:
        return await handler(request)
    limits = app[LIMITS]
    address = limits.address_of(request)
    try:
        asks = app[ACCESS].requester(request.headers.get("Authorization"))
    except KernsymError:
        await limits.slow_down(address)
        raise
    request[_REQUESTER] = asks
    request[CLIENT] = client = asks.name or address
    limits.count(client)
    require(request, TokenRole.READ)
    response = await handler(request)
    if request.method != "HEAD" and (response.content_length or 0) > LARGE_BYTES:
        async with limits.large_answer(request):
            await response.prepare(request)
            await response.write_eof()
    return response


def _stamp(file: Path) -> tuple[int, ...]:
    """What changes with a file; () when there is none."""
    try:
        state = file.stat()
    except OSError:
        return ()
    return state.st_mtime_ns, state.st_size, state.st_ino
