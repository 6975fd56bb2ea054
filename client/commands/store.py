"""`kernsym ls`, `show`, `rm`: the store of this machine, or a server's."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import click
import msgspec

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.package_forms import package_forms
from kernsym.cache.usage import bytes_on_disk
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import size
from kernsym.client.server_api import ServerApi
from kernsym.client.settings import Settings
from kernsym.distros import KernsymError, Unusable


@click.command()
@global_options
@pass_settings
def ls(settings: Settings) -> None:
    """List the kernels that the store holds, one a line: key, modules, size, last use."""
    with store_or_server(settings) as where:
        for bundle in _bundles(where):
            click.echo(_as_json(bundle) if settings.json else _row(bundle, where))


@click.command()
@click.argument("kernel")
@global_options
@pass_settings
def show(settings: Settings, kernel: str) -> None:
    """Show what is held of KERNEL: its key as `ls` prints it, its uname, or a build ID."""
    with store_or_server(settings) as where:
        bundle = find_bundle(where, kernel)
        if settings.json:
            click.echo(_as_json(bundle))
            return
        click.echo(f"kernel     {bundle.kernel.key}")
        click.echo(f"banner     {bundle.verification.banner}")
        click.echo(f"build ID   {bundle.verification.build_id or 'none'}")
        click.echo(f"checked    {bundle.verification.words}")
        if bundle.label:
            click.echo(f"label      {bundle.label}")
        if bundle.carried:
            click.echo(f"carried    {bundle.carried}")
        for ref in bundle.packages:
            signed = f"signed by {ref.signed_by}" if ref.signed_by else "no signature"
            click.echo(f"package    {ref.package.id}  {ref.origin}  {signed}")
            if isinstance(where, Store):
                forms = package_forms(where.package_path(bundle.kernel, ref))
                held = ", ".join(f"{form.name} {size(form.size)}" for form in forms)
                click.echo(f"held as    {held or 'its files alone'}")
        for mark in bundle.unchecked:
            then = "the rest is to come" if mark.later else "the rest is not to come"
            click.echo(f"unchecked  {mark.package}: {mark.words}; {then}")
        if isinstance(where, Store):
            click.echo(f"folder     {where.folder(bundle.kernel)}")
        for file in bundle.files:
            click.echo(f"{file.role.value:<11}{size(file.size):>7}  {file.path}")
        if copy := bundle.usable_copy():
            click.echo(f"{'prepared':<11}{size(copy.size):>7}  {copy.path}, index by {copy.by}")
        for name in bundle.absent:
            click.echo(f"absent     {name}: in no package")


@click.command()
@click.argument("kernel")
@global_options
@pass_settings
def rm(settings: Settings, kernel: str) -> None:
    """Remove KERNEL (as `show` takes it) and everything that is held of it."""
    with store_or_server(settings) as where:
        bundle = find_bundle(where, kernel)
        freed = ""
        if isinstance(where, Store):
            freed = f", {size(bytes_on_disk(where.folder(bundle.kernel)))} freed"
            with changing(where):
                where.remove(bundle)
        else:
            where.remove(bundle.kernel)
        settings.reporter().line("removed", f"{bundle.kernel.key}{freed}")


@contextlib.contextmanager
def store_or_server(settings: Settings) -> Iterator[Store | ServerApi]:
    """The server that was named, else the store itself: reading it needs no server."""
    if settings.server_url():
        with settings.api() as api:
            yield api
    else:
        with contextlib.closing(Store(settings.store_folder())) as store:
            yield store


@contextlib.contextmanager
def changing(where: Store | ServerApi) -> Iterator[None]:
    """Turns what a store's disk refuses into `Unusable` (`store-unwritable`)."""
    try:
        yield
    except OSError as error:
        if not isinstance(where, Store):
            raise
        raise Unusable(
            "store-unwritable",
            f"the store {where.root} cannot be changed: {error.strerror}",
            hint="run it as who owns the store, on the machine that may write to it",
        ) from error


def _bundles(where: Store | ServerApi) -> tuple[Bundle, ...]:
    return tuple(where.bundles()) if isinstance(where, Store) else where.kernels()


def find_bundle(where: Store | ServerApi, wanted: str) -> Bundle:
    """The one kernel that `wanted` names.  Raises `Unusable` when it is none or several."""
    found = [
        bundle
        for bundle in _bundles(where)
        if wanted in (bundle.kernel.key, bundle.kernel.uname)
        or wanted.lower() in {file.build_id for file in bundle.files if file.build_id}
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise KernsymError("not-held", f"no kernel {wanted} is held", hint="see kernsym ls")
    raise Unusable(
        "several-held",
        f"{wanted} is held in several versions",
        context=tuple(bundle.kernel.key for bundle in found),
        hint="name one of these",
    )


def _row(bundle: Bundle, where: Store | ServerApi) -> str:
    modules = sum(file.role is FileRole.MODULE for file in bundle.files)
    sources = "sources" if bundle.first(FileRole.SOURCE_TREE) else "-"
    row = f"{bundle.kernel.key:<60} {modules:>5} modules  {sources:<7}"
    if isinstance(where, Store):
        used = where.uses.last_use(bundle.kernel.key)
        row += f"  {size(bytes_on_disk(where.folder(bundle.kernel))):>7}  {day_of(used)}"
    if bundle.unchecked:
        row += "  unchecked"
    return row


def day_of(when: float) -> str:
    """A time in seconds since the epoch as a date; 0: not known."""
    return time.strftime("%Y-%m-%d", time.localtime(when)) if when else "-"


def _as_json(bundle: Bundle) -> str:
    return msgspec.json.encode(bundle).decode()
