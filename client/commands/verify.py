"""`kernsym verify`: whether a store is whole, and how it becomes so again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

import click
import msgspec

from kernsym.cache import Bundle, Store
from kernsym.cache.upkeep.inspection import Finding, inspect_kernel, inspect_rest, size_to_read
from kernsym.cache.upkeep.repair import Lost, repair_kernel, repair_rest
from kernsym.client.commands.store import changing, find_bundle
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import Reporter
from kernsym.client.settings import Settings
from kernsym.distros import KernsymError, Refused, Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Answer of `kernsym verify`: how many kernels were looked through; what was wrong, and what of
    it still is."""

    kernels: int
    findings: list[Finding] = field(default_factory=list)
    stays: list[Finding] = field(default_factory=list)


@click.command()
@click.argument("kernels", nargs=-1, metavar="[KERNEL]...")
@click.option(
    "--repair", is_flag=True, help="Mend what can be mended, fetch again what is damaged."
)
@global_options
@pass_settings
def verify(settings: Settings, kernels: tuple[str, ...], repair: bool) -> None:
    """Check whether the store is whole: every file's digest and build ID, links, index, left-overs.

    KERNELs as `show` takes them; without any, all.  Exits with 6 when damage stays.
    """
    if settings.server_url():
        raise Unusable(
            "server-named",
            "a store is verified on the machine that it lies on",
            hint="leave out --server and KERNSYM_URL; name the folder with --store",
        )
    reporter = settings.reporter()
    with contextlib.closing(Store(settings.store_folder())) as store:
        bundles = [find_bundle(store, name) for name in kernels] or list(store.bundles())
        done = Verified(kernels=len(bundles))
        with changing(store):
            lost = _look_through(store, bundles, done, reporter, repair=repair)
            if not kernels:
                rest = list(inspect_rest(store))
                done.findings.extend(rest)
                done.stays.extend(repair_rest(store, rest) if repair else rest)
    done.stays.extend(_fetch_again(settings, lost))
    _show(settings, done)


def _look_through(
    store: Store, bundles: list[Bundle], done: Verified, reporter: Reporter, *, repair: bool
) -> list[tuple[Lost, list[Finding]]]:
    """Inspect kernels, and mend them if they shall; what has to be fetched again."""
    total, before, lost = sum(size_to_read(store, bundle) for bundle in bundles), 0, []
    for bundle in bundles:
        start = before

        def tell(read: int, start: int = start) -> None:
            reporter.progress("verify", start + read, total)

        with store.uses.using(bundle.kernel.key):
            found = list(inspect_kernel(store, bundle, tell))
        before += size_to_read(store, bundle)
        done.findings.extend(found)
        if not repair or not found:
            done.stays.extend(found)
            continue
        gone, stays = repair_kernel(store, bundle, found)
        done.stays.extend(stays)
        if gone is not None:
            lost.append((gone, found))
    reporter.end_progress()
    return lost


def _fetch_again(settings: Settings, lost: list[tuple[Lost, list[Finding]]]) -> list[Finding]:
    """Bring what was withdrawn; what could not come."""
    if not lost:
        return []
    from kernsym.client.holdings import open_holdings

    stays, reporter = [], settings.reporter()
    with open_holdings(settings) as holdings:
        for gone, found in lost:
            reporter.line("again", gone.kernel)
            try:
                holdings.symbols(gone.fingerprint, gone.modules, all_modules=gone.all_modules)
                if gone.sources:
                    holdings.sources(gone.fingerprint)
            except KernsymError as error:
                reporter.error(error)
                stays.extend(found)
            else:
                if gone.pin is not None:
                    holdings.store.marks.pin(gone.kernel, gone.pin)
    return stays


def _show(settings: Settings, done: Verified) -> None:
    """Raises `Refused` (`store-damaged`) when damage stays."""
    if settings.json:
        click.echo(msgspec.json.encode(done).decode())
    else:
        for finding in done.findings:
            word = "stays" if finding in done.stays else "mended"
            click.echo(f"{word:<8}{finding.fault.value:<20}{finding.path}: {finding.said}")
        settings.reporter().line("verified", f"{done.kernels} kernels, {len(done.findings)} faults")
    if done.stays:
        raise Refused(
            "store-damaged",
            f"the store has {len(done.stays)} faults",
            hint="kernsym verify --repair mends what it can, and fetches again what is damaged",
        )
