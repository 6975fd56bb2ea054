"""`kernsym catalog`: what the sources publish, kept over time, so that nothing goes unseen."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import click
import msgspec

from kernsym.cache import Store
from kernsym.cache.messages import Problem
from kernsym.cache.planning import CatalogRequest, CatalogUpdate, WatchedSeries
from kernsym.cache.publications import Publication, SourceRecord, words_of
from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings
from kernsym.distros import KernsymError, NotPublished, Unusable

F = TypeVar("F", bound=Callable[..., Any])

_SECONDS = {"h": 3600, "d": 86_400, "w": 604_800}
_MACHINE = "x86_64"


@click.group()
def catalog() -> None:
    """What the sources publish, kept over time: when a kernel was first and last seen, and whether
    it has gone.

    A list that is empty, or has less than half of what was there, is an error and changes nothing;
    `floor = N` of a [[source]] says how many kernels it lists at least.
    """


def _subcommand(name: str) -> Callable[[F], click.Command]:
    return lambda command: catalog.command(name)(global_options(pass_settings(command)))


@_subcommand("update")
@click.argument("series", nargs=-1, metavar="[DISTRO:RELEASE[:ARCH]]...")
@click.option("--accept-shrink", is_flag=True, help="Believe lists that became much shorter.")
def update(settings: Settings, series: tuple[str, ...], accept_shrink: bool) -> None:
    """Ask the sources of these releases (debian:bookworm, ubuntu:jammy:aarch64) for all that they
    publish; without one, those of earlier updates."""
    wanted = CatalogRequest(
        series=tuple(_series(text) for text in series), accept_shrink=accept_shrink
    )
    with settings.api() as api:
        updates = api.update_catalog(wanted)
    for each in updates:
        if settings.json:
            click.echo(msgspec.json.encode(each).decode())
        else:
            _tell(settings, each)
    _raise_worst(each.problem for each in updates if each.problem)


@_subcommand("diff")
@click.option("--since", metavar="TIME", default="1d", help="So long ago: 12h, 7d, 4w [1d].")
@click.option("--exit-code", is_flag=True, help="Exit 4 when something has gone.")
def diff(settings: Settings, since: str, exit_code: bool) -> None:
    """List what came (+) and what went (-) since a time."""
    start = time.time() - _age(since)
    went = False
    for record, each in _all(settings):
        new = each.first_seen >= start and not each.initial
        gone = each.gone is not None and each.gone >= start
        if new or gone:
            went = went or gone
            _print(settings, record, each, "-" if gone else "+")
    if went and exit_code:
        raise NotPublished("gone", "some packages are no longer published")


@_subcommand("search")
@click.argument("text")
def search(settings: Settings, text: str) -> None:
    """List the packages whose kernel or name holds TEXT, and when they were published."""
    found = False
    for record, each in _all(settings):
        if text in each.kernel.key or text in each.package:
            found = True
            _print(settings, record, each, " " if each.gone is None else "-")
    if not found:
        raise NotPublished(
            "not-in-catalog",
            f"the catalog knows of nothing with {text!r}",
            hint="kernsym catalog update asks the sources",
        )


def _all(settings: Settings) -> Iterator[tuple[SourceRecord, Publication]]:
    for record in _records(settings):
        for each in record.publications:
            yield record, each


def _records(settings: Settings) -> tuple[SourceRecord, ...]:
    """Of the server that was named, else of the store itself."""
    if settings.server_url():
        with settings.api() as api:
            return api.catalog()
    with contextlib.closing(Store(settings.store_folder())) as store:
        return tuple(store.publications.records())


def _print(settings: Settings, record: SourceRecord, each: Publication, sign: str) -> None:
    if settings.json:
        row = {"series": record.series, "place": record.place, "publication": each}
        click.echo(msgspec.json.encode(row).decode())
    else:
        click.echo(f"{sign} {each.package}  {words_of(record, each)}")


def _tell(settings: Settings, each: CatalogUpdate) -> None:
    label = f"{each.series}  {each.place}:"
    if each.problem is not None:
        settings.reporter().warning(f"{label} {each.problem.title}")
        return
    changes = f", {len(each.added)} new, {len(each.gone)} gone"
    click.echo(f"{label} {each.listed} kernels{changes}")
    for name in each.gone:
        click.echo(f"- {name}")


def _raise_worst(problems: Iterable[Problem]) -> None:
    """The first of them, with the others below it: nothing shall go unseen in CI."""
    errors = [problem.as_error() for problem in problems]
    if errors:
        first, *others = errors
        more = tuple(other.message for other in others)
        kind: type[KernsymError] = type(first)
        raise kind(first.code, first.message, context=(*first.context, *more), hint=first.hint)


def _series(text: str) -> WatchedSeries:
    found = re.fullmatch(r"([a-z-]+):([\w.-]+)(?::([\w-]+))?", text)
    if found is None:
        raise click.BadParameter(f"not DISTRO:RELEASE or DISTRO:RELEASE:ARCH: {text}")
    return WatchedSeries(distro=found[1], release=found[2], arch=found[3] or _MACHINE)


def _age(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,5})([hdw])", text)
    if found is None:
        raise Unusable("time-invalid", f"not a time such as 12h, 7d or 4w: {text!r}")
    return int(found[1]) * _SECONDS[found[2]]
