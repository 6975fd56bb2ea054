"""`kernsym export` and `import`: kernels in one file, for machines that no network reaches."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.atomic import is_special
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import size
from kernsym.client.settings import Settings
from kernsym.distros import Unusable, normalise_module

if TYPE_CHECKING:
    from kernsym.cache.kbundle import Contents

_PIECE = 1 << 20
_PACKAGES = (".rpm", ".deb", ".ddeb")
_BESIDE = (FileRole.MODULE, FileRole.SOURCE_TREE)  # what one may do without


@click.command()
@click.argument("kernels", nargs=-1, metavar="[KERNEL...]")
@click.option("--for", "what", metavar="DUMP|LOG|BANNER|...", help="What this needs: see fetch.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The file.")
@click.option("--modules", metavar="NAME,...", help="These modules [all that are held].")
@click.option("--all-modules", is_flag=True, help="With --for: every module of the package.")
@click.option("--sources", is_flag=True, help="With --for: the source tree too.")
@click.option("--no-sources", is_flag=True, help="Leave the source tree out.")
@click.option("--sign", metavar="KEY", help="Sign it with this key, by gpg.")
@global_options
@pass_settings
def export(
    settings: Settings,
    kernels: tuple[str, ...],
    what: str | None,
    output: Path,
    modules: str | None,
    all_modules: bool,
    sources: bool,
    no_sources: bool,
    sign: str | None,
) -> None:
    """Pack KERNEL (as `show` takes it) into one file, for kernsym import on another machine.

    With --for, exactly what a dump needs is fetched and packed: vmlinux and the modules it has
    loaded.  Without kernsym, `tar --zstd -xf FILE` unpacks it, `sha256sum -c SHA256SUMS` checks it.
    """
    from kernsym.client.commands.store import find_bundle

    if not kernels and what is None:
        raise click.UsageError("name a KERNEL that is held (see kernsym ls), or a dump with --for")
    names = None if modules is None else tuple(filter(None, modules.split(",")))
    chosen: dict[str, Bundle] = {}
    if what is not None:
        bundle = _bring(settings, what, names, all_modules=all_modules, sources=sources)
        chosen[bundle.kernel.key] = bundle
    with contextlib.closing(Store(settings.store_folder())) as store:
        for kernel in kernels:
            bundle = _part_of(find_bundle(store, kernel), names, sources=not no_sources)
            chosen.setdefault(bundle.kernel.key, bundle)
        contents = _write(settings, store, tuple(chosen.values()), output, sign)
    for bundle in contents.kernels:
        _tell(settings, "packed", bundle)
    click.echo(output)


def _bring(
    settings: Settings,
    what: str,
    names: tuple[str, ...] | None,
    *,
    all_modules: bool,
    sources: bool,
) -> Bundle:
    """What a dump needs, brought here; without what else is held of its kernel."""
    from kernsym.client.commands.fetch import read_wish
    from kernsym.client.holdings import open_holdings

    fingerprint, wanted = read_wish(settings, what)
    asked: set[str] = set()

    def listed(vmlinux: Path) -> tuple[str, ...]:
        found = wanted(vmlinux) if callable(wanted) else wanted
        asked.update(found)
        return found

    with open_holdings(settings) as holdings:
        bundle = holdings.symbols(
            fingerprint,
            listed if names is None else names,
            all_modules=all_modules,
            original=True,
        )
        if sources:
            bundle = holdings.sources(fingerprint)
    if all_modules:
        return _part_of(bundle, None, sources=sources)
    return _part_of(bundle, tuple(asked) if names is None else names, sources=sources)


def _part_of(bundle: Bundle, names: tuple[str, ...] | None, *, sources: bool) -> Bundle:
    """The bundle with only these modules, None: all."""
    wanted = None if names is None else {normalise_module(name) for name in names}
    if wanted is not None and (unknown := wanted - {*bundle.modules(), *bundle.absent}):
        raise Unusable(
            "not-held",
            f"{bundle.kernel.key} holds no module {min(unknown)}",
            hint="kernsym fetch BANNER --modules NAME,... brings it",
        )
    files = tuple(
        file
        for file in bundle.files
        if file.role not in _BESIDE
        or (file.role is FileRole.SOURCE_TREE and sources)
        or (file.role is FileRole.MODULE and (wanted is None or file.name in wanted))
    )
    return replace(bundle, files=files, all_modules=bundle.all_modules and wanted is None)


def _write(
    settings: Settings, store: Store, bundles: tuple[Bundle, ...], output: Path, key: str | None
) -> Contents:
    """The file appears whole or not at all."""
    from kernsym.cache.kbundle import pack
    from kernsym.client.openpgp import sign

    reporter = settings.reporter()
    direct = is_special(output)  # a pipe, say
    beside = output if direct else output.with_name(f".{output.name}.part")
    try:
        with beside.open("wb") as out:
            contents = pack(
                store,
                bundles,
                out,
                sign=partial(sign, key=key) if key else None,
                on_progress=lambda done, total: reporter.progress("pack", done, total),
            )
            out.flush()
            if not direct:
                os.fsync(out.fileno())
        if not direct:
            beside.replace(output)
    except OSError as error:
        raise Unusable(
            "not-written", f"{output} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        if not direct:
            beside.unlink(missing_ok=True)
        reporter.end_progress()
    return contents


@click.command(name="import")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--signed-by",
    metavar="KEYS",
    type=click.Path(path_type=Path),
    help="Only what a key of this file has signed.",
)
@global_options
@pass_settings
def import_(settings: Settings, files: tuple[Path, ...], signed_by: Path | None) -> None:
    """Take the kernels of FILE, made by kernsym export, into the store (or a server's).

    Every file is compared with its digest, and each vmlinux and module with the kernel that it is
    said to be of.  Interrupted, the same command goes on where it was.

    FILEs that are packages (.rpm, .deb, .ddeb) are taken in as if a source had published them;
    name those that belong together at once.
    """
    packages = [file for file in files if file.suffix in _PACKAGES]
    if packages:
        from kernsym.client.packages_in_hand import take_in

        if signed_by is not None:
            raise click.UsageError("--signed-by is of bundles; packages carry their own signatures")
        for bundle in take_in(settings, packages):
            _tell(settings, "held", bundle)
    _import_bundles(settings, [file for file in files if file not in packages], signed_by)


def _import_bundles(settings: Settings, files: list[Path], signed_by: Path | None) -> None:
    if not files:
        return
    reporter = settings.reporter()
    with settings.api() as api:
        for file in files:
            if signed_by is not None:
                reporter.line("signature", f"of {_signer(file, signed_by)}")
            for bundle in api.import_bundle(_pieces(file, settings)):
                _tell(settings, "held", bundle)
            reporter.end_progress()


def _signer(file: Path, keys: Path) -> str:
    from kernsym.cache.kbundle import open_carrier
    from kernsym.client.openpgp import require_signed

    with _opened(file) as stream, open_carrier(stream) as carrier:
        return require_signed(carrier.listing, carrier.signature, keys)


def _pieces(file: Path, settings: Settings) -> Iterator[bytes]:
    reporter = settings.reporter()
    with _opened(file) as stream:
        total, done = os.fstat(stream.fileno()).st_size, 0
        while piece := stream.read(_PIECE):
            yield piece
            done += len(piece)
            reporter.progress("import", done, total)
    reporter.end_progress()


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    try:
        stream = file.open("rb")
    except OSError as error:
        raise Unusable("file-unreadable", f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


def _tell(settings: Settings, label: str, bundle: Bundle) -> None:
    modules = sum(file.role is FileRole.MODULE for file in bundle.files)
    sources = ", sources" if bundle.first(FileRole.SOURCE_TREE) else ""
    total = size(sum(file.size for file in bundle.files))
    text = f"{bundle.kernel.key}  {modules} modules{sources}, {total}"
    settings.reporter().line(label, text)
