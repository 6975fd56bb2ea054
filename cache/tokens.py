"""The tokens of a shared server: what each may do, in a file that holds only their hashes.

    ID ROLE EXPIRES sha256:HASH COMMENT...      a line each; EXPIRES is `-` for never

Read by the server, written by `kernsym token`.  A token is `kernsym_ID_SECRET` with a secret of
256 random bits, so that a plain hash is enough: there is nothing to guess.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import re
import secrets
import stat
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from kernsym.cache.locks import hold
from kernsym.distros import KernsymError, Unusable

_LINE = re.compile(
    r"(?P<id>[0-9a-f]{8}) (?P<role>[a-z]+) (?P<expires>\S+) sha256:(?P<hash>[0-9a-f]{64})"
    r"(?: (?P<comment>.*))?"
)
_ENDS = "%Y-%m-%dT%H:%M:%SZ"


class TokenRole(str, enum.Enum):
    """What a token allows; each allows what those before it do."""

    READ = "read"  # all that is held
    FETCH = "fetch"  # have kernels brought, cancel what one has asked for
    ADMIN = "admin"  # remove kernels, cancel anything

    def allows(self, needed: TokenRole) -> bool:
        return _ORDER[self] >= _ORDER[needed]


_ORDER = {role: place for place, role in enumerate(TokenRole)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token as the file knows it.  `hash`: SHA-256 of the whole token, in hex."""

    id: str
    role: TokenRole
    hash: str
    expires: datetime | None = None
    comment: str = ""

    def is_of(self, shown: str) -> bool:
        """Whether `shown` is this token; takes as long for a wrong one as for the right one."""
        return hmac.compare_digest(_hash(shown), self.hash)

    def expired(self) -> bool:
        return self.expires is not None and self.expires <= datetime.now(timezone.utc)


def new_token(
    role: TokenRole, *, expires: datetime | None = None, comment: str = ""
) -> tuple[Token, str]:
    """A new token, and the words that its owner has to show: they are known to nobody else."""
    token_id = secrets.token_hex(4)
    words = f"kernsym_{token_id}_{secrets.token_urlsafe(32)}"
    comment = " ".join(comment.split())
    token = Token(id=token_id, role=role, hash=_hash(words), expires=expires, comment=comment)
    return token, words


def id_of(shown: str) -> str:
    """The id in a token that somebody shows; "" when it is none of ours.

    >>> id_of("kernsym_0a1b2c3d_x")
    '0a1b2c3d'
    """
    prefix, _, rest = shown.partition("_")
    token_id, _, secret = rest.partition("_")
    return token_id if prefix == "kernsym" and secret else ""


def read_tokens(path: Path) -> tuple[Token, ...]:
    """The tokens of a file.  Raises `Unusable` (`tokens-broken`, `tokens-unsafe`)."""
    try:
        with path.open() as file:
            mode = os.fstat(file.fileno()).st_mode
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise Unusable("tokens-broken", f"the tokens in {path} cannot be read: {reason}") from error
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unusable("tokens-unsafe", f"others may write to {path}", hint=f"run chmod 600 {path}")
    return tuple(
        _parse(line, f"line {number} of {path}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    )


def add_token(path: Path, token: Token) -> None:
    """Append a token to a file, which is made, for its owner only, if there is none."""
    with (
        _changing(path),
        os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as file,
    ):
        text = file.read()
        gap = b"\n" if text and not text.endswith(b"\n") else b""
        file.write(gap + _format(token).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def revoke_token(path: Path, token_id: str) -> None:
    """Take a token out of a file.  Raises `KernsymError` (`no-such-token`)."""
    with _changing(path):
        if token_id not in {token.id for token in read_tokens(path)}:
            raise KernsymError("no-such-token", f"{path} has no token {token_id}")
        kept = [
            line
            for line in path.read_text().splitlines(keepends=True)
            if line.partition(" ")[0] != token_id
        ]
        _replace(path, "".join(kept))


def _changing(path: Path) -> AbstractContextManager[None]:
    return hold(path.with_name(f".{path.name}.lock"))


def _replace(path: Path, text: str) -> None:
    """Beside and renamed, for the same owner: it is the server's, and root may change it."""
    owner = path.stat()
    beside = path.with_name(f".{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        os.fchmod(file.fileno(), stat.S_IMODE(owner.st_mode))
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    beside.replace(path)


def _format(token: Token) -> str:
    expires = token.expires.strftime(_ENDS) if token.expires else "-"
    return f"{token.id} {token.role.value} {expires} sha256:{token.hash} {token.comment}".rstrip()


def _parse(line: str, where: str) -> Token:
    found = _LINE.fullmatch(line.rstrip())
    try:
        if found is None:
            raise ValueError("it is not ID ROLE EXPIRES sha256:HASH COMMENT")
        ends = found["expires"]
        return Token(
            id=found["id"],
            role=TokenRole(found["role"]),
            hash=found["hash"],
            expires=None if ends == "-" else _as_time(ends),
            comment=found["comment"] or "",
        )
    except ValueError as error:
        raise Unusable("tokens-broken", f"{where} is no token: {error}") from error


def _as_time(text: str) -> datetime:
    return datetime.strptime(text, _ENDS).replace(tzinfo=timezone.utc)


def _hash(words: str) -> str:
    return hashlib.sha256(words.encode()).hexdigest()
