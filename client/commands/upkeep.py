"""`kernsym gc`, `du`, `pin`, `unpin`: what a store takes, and what it shall keep."""

from __future__ import annotations

import click
import msgspec

from kernsym.cache import Store
from kernsym.cache.upkeep import (
    Collected,
    CollectRequest,
    KernelUsage,
    Limits,
    StoreUsage,
    collect,
    parse_age,
    parse_size,
    read_limits,
    store_usage,
)
from kernsym.cache.usage import Piece
from kernsym.client.commands.store import changing, day_of, find_bundle, store_or_server
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import size
from kernsym.client.settings import Settings
from kernsym.distros import Unusable

_SHOWN = (Piece.VMLINUX, Piece.MODULES, Piece.SOURCES, Piece.PACKAGES, Piece.PREPARED, Piece.OTHER)


@click.command()
@click.option("--plan", is_flag=True, help="Say what would be removed, remove nothing.")
@click.option("--unpublished", is_flag=True, help="Also kernels that nobody publishes any more.")
@click.option("--max-size", metavar="SIZE", help="What the store may take, such as 200G.")
@click.option("--min-free", metavar="SIZE", help="What shall stay free on its disk.")
@click.option("--max-age", metavar="AGE", help="How long a kernel is kept unused, such as 90d.")
@global_options
@pass_settings
def gc(
    settings: Settings,
    plan: bool,
    unpublished: bool,
    max_size: str | None,
    min_free: str | None,
    max_age: str | None,
) -> None:
    """Remove what exceeds the limits of [store] in kernsym.toml, or those given here, the cheapest
    to lose first.  What is in use, pinned, or published no longer stays."""
    given = Limits(
        max_size=None if max_size is None else parse_size(max_size),
        min_free=None if min_free is None else parse_size(min_free),
        max_age=None if max_age is None else parse_age(max_age),
    )
    with store_or_server(settings) as where:
        if isinstance(where, Store):
            limits = _limits(settings, given)
            where.removal.empty_bin()
            collected = collect(where, limits, unpublished=unpublished, plan=plan)
        else:
            request = CollectRequest(plan=plan, unpublished=unpublished, limits=given)
            collected = where.collect(request)
    if settings.json:
        click.echo(msgspec.json.encode(collected).decode())
    else:
        _show(settings, collected, plan=plan)


@click.command()
@global_options
@pass_settings
def du(settings: Settings) -> None:
    """Show what the kernels take on the disk, in the order of their last use, and what the store
    takes beside them."""
    with store_or_server(settings) as where:
        if isinstance(where, Store):
            usage = store_usage(where, read_limits(settings.table()))
        else:
            usage = where.usage()
    if settings.json:
        click.echo(msgspec.json.encode(usage).decode())
        return
    for kernel in sorted(usage.kernels, key=lambda one: one.last_use):
        click.echo(_row(kernel))
    for name, taken in usage.shared.items():
        if taken:
            click.echo(f"{size(taken):>8}  {name}")
    click.echo(f"{size(usage.total):>8}  in all{_of_limits(usage)}")


@click.command()
@click.argument("kernel")
@click.option("--reason", default="", help="Why, for those who wonder later.")
@global_options
@pass_settings
def pin(settings: Settings, kernel: str, reason: str) -> None:
    """Keep KERNEL (as `show` takes it) whatever the limits say, until `unpin`."""
    with store_or_server(settings) as where:
        key = find_bundle(where, kernel).kernel.key
        with changing(where):
            where.marks.pin(key, reason) if isinstance(where, Store) else where.pin(key, reason)
        settings.reporter().line("pinned", key)


@click.command()
@click.argument("kernel")
@global_options
@pass_settings
def unpin(settings: Settings, kernel: str) -> None:
    """Let KERNEL (as `show` takes it) go when the limits demand it."""
    with store_or_server(settings) as where:
        key = find_bundle(where, kernel).kernel.key
        with changing(where):
            was = where.marks.unpin(key) if isinstance(where, Store) else where.unpin(key)
        settings.reporter().line("unpinned" if was else "not pinned", key)


def _limits(settings: Settings, given: Limits) -> Limits:
    """Those of the configuration, but as far as others are given.  Raises `Unusable`."""
    limits = read_limits(settings.table()).overridden_by(given)
    if not limits:
        raise Unusable(
            "no-limits",
            "nothing limits the store",
            hint='set max_size = "200G" under [store] in kernsym.toml, or give --max-size',
        )
    return limits


def _show(settings: Settings, collected: Collected, *, plan: bool) -> None:
    word = "would go" if plan else "removed"
    for one in collected.removed:
        click.echo(f"{word:<9}{size(one.size):>8}  {one.kernel or '-'}  {one.what}: {one.why}")
    for kept in collected.kept:
        click.echo(
            f"{'stays':<9}{size(kept.size):>8}  {kept.kernel or '-'}  {kept.what}: {kept.why}"
        )
    reporter = settings.reporter()
    reporter.line("store", f"{size(collected.used)} before, {size(collected.freed)} {word}")
    if collected.lacking:
        reporter.warning(f"{size(collected.lacking)} are still lacking: {collected.why}")


def _row(kernel: KernelUsage) -> str:
    pieces = kernel.usage.pieces
    shown = ", ".join(f"{piece.value} {size(pieces[piece])}" for piece in _SHOWN if piece in pieces)
    notes = [f"last used {day_of(kernel.last_use)}"] if kernel.last_use else []
    notes += ["in use"] if kernel.in_use else []
    notes += [f"pinned {kernel.pin.reason}".strip()] if kernel.pin else []
    notes += ["published no longer"] if kernel.gone else []
    return f"{size(kernel.usage.total):>8}  {kernel.usage.key}  {shown}; {', '.join(notes)}"


def _of_limits(usage: StoreUsage) -> str:
    limit = usage.limits.max_size
    return f"{f' of {size(limit)}' if limit is not None else ''}, {size(usage.free)} free"
