"""`kernsym preseed`: fills a store ahead of time, from a list of kernels or by a rule."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from kernsym.client.amounts import parse_bytes, parse_seconds
from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings

_DEFAULT_LOCK = "kernsym.lock"


def _bytes(context: click.Context, parameter: click.Parameter, text: str | None) -> int | None:
    return parse_bytes(text) if text else None


def _seconds(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    return parse_seconds(text) if text else None


@click.command()
@click.argument("lists", metavar="[LIST|-]...", nargs=-1)
@click.option("--plan", is_flag=True, help="Only say what would be done.")
@click.option("--modules", metavar="all|none|NAME,...", default="none", help="Beside vmlinux.")
@click.option("--sources", is_flag=True, help="The source trees too.")
@click.option("--distro", metavar="NAME", help="Whose kernels; with --newest, or for the lists.")
@click.option("--series", metavar="NAME", help="Of this release: jammy, 12, 9, 15-SP5.")
@click.option("--flavour", metavar="NAME", default="", help="Of this flavour [the plain one].")
@click.option("--arch", metavar="NAME", help="As `uname -m` spells it [x86_64].")
@click.option("--line", metavar="X.Y", default="", help="Of this upstream version, as 6.8.")
@click.option("--newest", metavar="N", type=click.IntRange(1, 1000), help="The newest N of these.")
@click.option("--track", metavar="N", type=click.IntRange(1, 1000), help="The newest; keep N.")
@click.option("--max-bytes", metavar="SIZE", callback=_bytes, help="Download at most, as 20G.")
@click.option("--max-time", metavar="TIME", callback=_seconds, help="Take at most, as 45m or 2h.")
@click.option("--at-once", metavar="N", type=click.IntRange(1, 16), default=4, help="[4]")
@click.option("--lock", metavar="FILE", type=click.Path(path_type=Path), help="Write what came.")
@click.option("--locked", is_flag=True, help="Only what FILE of --lock names [kernsym.lock].")
@click.option("--junit", metavar="FILE", type=click.Path(path_type=Path), help="JUnit XML.")
@click.option("--allow-missing", is_flag=True, help="Exit 0 where nobody publishes a kernel.")
@click.option("--no-wait", is_flag=True, help="Hand it to the server of --server and end.")
@global_options
@pass_settings
def preseed(settings: Settings, /, lists: Sequence[str], **options: Any) -> int:
    """Bring the kernels of LIST, the most used first, so that they are there when needed.

    A line of LIST is a banner, `uname -a`, DISTRO and `uname -r`, a package, a build ID or the path
    of a dump, after a number of machines or without; or LIST is an inventory: JSON (Ansible's
    facts, osquery's), a table, or a folder of such files.  Run again it goes on where it ended.

    Exit status: 0 all there, 4 nobody publishes some, 3 some are no known kernels, 5 could not
    find out or left by the budget, 6 refused; of several the gravest: 6, 5, 3, 4.
    """
    from kernsym.client.preseed.command import Options, carry_out

    _check(lists, options)
    if options["locked"] and options["lock"] is None:
        options["lock"] = Path(_DEFAULT_LOCK)
    return carry_out(settings, lists, Options(**options))


def _check(lists: Sequence[str], options: dict[str, Any]) -> None:
    rule = options["newest"] or options["track"]
    if rule and not (options["distro"] and options["series"]):
        raise click.UsageError("--newest and --track need --distro and --series")
    if options["newest"] and options["track"]:
        raise click.UsageError("--newest or --track, not both")
    if not lists and not rule and not options["locked"]:
        raise click.UsageError("name a LIST, or --distro NAME --series NAME --newest N")
    for other in ("plan", "sources", "lock", "locked", "max_bytes", "max_time"):
        if options["no_wait"] and options[other]:
            raise click.UsageError(f"--no-wait goes not with --{other.replace('_', '-')}")
