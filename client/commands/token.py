"""`kernsym token`: makes, lists and revokes the tokens of the server on this machine."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TypeVar

import click

from kernsym.cache.tokens import Token, TokenRole, add_token, new_token, read_tokens, revoke_token
from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings
from kernsym.distros import Unusable

F = TypeVar("F", bound=Callable[..., Any])

_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

_FILE = click.option(
    "--file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file of tokens [tokens_file of the configuration].",
)


@click.group()
def token() -> None:
    """Who may ask a server for what.

    Tokens lie in the file that `tokens_file` in [server] of the configuration names; it holds
    their hashes only.  A server that runs takes up changes by itself.
    """


def _subcommand(name: str) -> Callable[[F], click.Command]:
    return lambda command: token.command(name)(_FILE(global_options(pass_settings(command))))


@_subcommand("new")
@click.option(
    "--role",
    required=True,
    type=click.Choice([role.value for role in TokenRole]),
    help="read: what is held; fetch: have kernels brought; admin: remove them too.",
)
@click.option("--expires", metavar="TIME", help="After 12h, 90d or 8w; never without it.")
@click.option("--comment", default="", help="Whose it is, for `token list`.")
def new(
    settings: Settings, file: Path | None, role: str, expires: str | None, comment: str
) -> None:
    """Make a token and print it: this once, nobody can print it again."""
    path = _path(settings, file)
    ends = _end(expires) if expires else None
    made, words = new_token(TokenRole(role), expires=ends, comment=comment)
    add_token(path, made)
    if settings.json:
        click.echo(json.dumps({**_as_dict(made), "token": words}))
        return
    click.echo(words)
    settings.reporter().line("token", f"{_row(made)}; its hash is in {path}")


@_subcommand("list")
def list_(settings: Settings, file: Path | None) -> None:
    """List the tokens: id, role, end, comment."""
    for each in read_tokens(_path(settings, file)):
        click.echo(json.dumps(_as_dict(each)) if settings.json else _row(each))


@_subcommand("revoke")
@click.argument("token_id", metavar="ID")
def revoke(settings: Settings, file: Path | None, token_id: str) -> None:
    """Revoke the token ID, as `token list` shows it."""
    revoke_token(_path(settings, file), token_id)
    settings.reporter().line("revoked", token_id)


def _path(settings: Settings, file: Path | None) -> Path:
    named = file or settings.table().get("server", {}).get("tokens_file")
    if not named:
        raise Unusable(
            "tokens-file-unknown",
            "it is not said where the tokens are",
            hint="name the file with --file, or as tokens_file in [server] of kernsym.toml",
        )
    return Path(named).expanduser()


def _end(text: str) -> datetime:
    found = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", text)
    if found is None:
        raise click.BadParameter("such as 12h, 90d or 8w", param_hint="--expires")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return now + int(found[1]) * _UNITS[found[2]]


def _row(each: Token) -> str:
    end = f"until {each.expires:%Y-%m-%d %H:%M} UTC" if each.expires else "without end"
    expired = " (expired)" if each.expired() else ""
    return f"{each.id}  {each.role.value:<5}  {end}{expired}  {each.comment}".rstrip()


def _as_dict(each: Token) -> dict[str, Any]:
    return {
        "id": each.id,
        "role": each.role.value,
        "expires": each.expires.isoformat() if each.expires else None,
        "comment": each.comment,
    }
