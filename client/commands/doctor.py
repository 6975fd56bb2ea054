"""`kernsym doctor`: what is missing on this machine, and how to get it."""

from __future__ import annotations

import dataclasses

import click
import msgspec

from kernsym.client.doctor import examine
from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings

_SIGNS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}


@click.command()
@global_options
@pass_settings
def doctor(settings: Settings) -> int:
    """Look at programs, libraries, package sources, the store and the server."""
    checks = examine(settings.store_folder(), settings.server_url())
    for check in checks:
        if settings.json:
            click.echo(msgspec.json.encode(dataclasses.asdict(check)).decode())
            continue
        click.echo(f"{_SIGNS[check.status]} {check.name:<12} {check.detail}")
        if check.hint and check.status != "ok":
            click.echo(f"{'':17} {check.hint}")
    return 1 if any(check.status == "fail" for check in checks) else 0
