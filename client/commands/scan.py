"""`kernsym scan`: learns what lies in folders of this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from kernsym.cache.messages import ScanReport
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import Reporter
from kernsym.client.settings import Settings
from kernsym.distros import KernsymError, Unusable


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path))
@click.option("--watch", is_flag=True, help="Go on, and tell of what changes.")
@click.option(
    "--every",
    metavar="SECONDS",
    type=click.FloatRange(0.1),
    default=30.0,
    help="With --watch [30].",
)
@click.option("--forget", is_flag=True, help="Forget what is known of the folders instead.")
@global_options
@pass_settings
def scan(
    settings: Settings, folders: tuple[Path, ...], watch: bool, every: float, forget: bool
) -> None:
    """Learn which packages, kernels and modules lie in each DIR and below, under whatever name.

    From then on `fetch` and `crash` find kernels there, and a server on this store gives files by
    their build IDs.  Of packages the header is read; a second scan reads what has changed, and
    forgets what is gone.  Without DIR: those that were scanned before.

    The folders are looked at again and again, not watched through the kernel, which tells nothing
    of what happens on network file systems.
    """
    store = settings.store_folder()
    roots = tuple(dict.fromkeys(folder.absolute() for folder in folders)) or _known(store)
    if forget:
        _forget(store, roots, settings.reporter())
        return
    for report in _reports(store, roots, every if watch else None, settings.reporter()):
        if settings.json:
            click.echo(msgspec.json.encode(report).decode())
        else:
            click.echo(
                f"{report.folder}  {report.files} files, {report.packages} packages of kernels, "
                f"{report.build_ids} build IDs; {report.read} read, {report.gone} gone"
            )


def _known(store: Path) -> tuple[Path, ...]:
    """The folders that were scanned before."""
    from kernsym.cache.scanned import Scanned

    scanned = Scanned(store / "index", store / "locks" / "scanned")
    roots = scanned.chosen()
    scanned.close()
    if not roots:
        raise Unusable("no-folders", "no folder was scanned yet", hint="name one: kernsym scan DIR")
    return roots


def _forget(store: Path, roots: tuple[Path, ...], reporter: Reporter) -> None:
    from kernsym.cache.scanned import Scanned

    scanned = Scanned(store / "index", store / "locks" / "scanned")
    for root in roots:
        reporter.line("forgotten" if scanned.forget(root) else "unknown", str(root))
    scanned.close()


def _reports(
    store: Path, roots: tuple[Path, ...], every: float | None, reporter: Reporter
) -> Iterator[ScanReport]:
    """What the scanning process tells; of a folder that is watched, when something has changed.

    Raises what that met.
    """
    command = [sys.executable, "-m", "kernsym.server.scan", "--store", str(store)]
    command += ["--every", str(every)] if every is not None else []
    process = subprocess.Popen([*command, "--", *map(str, roots)], stdout=subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    told: set[str] = set()
    try:
        for line in process.stdout:
            said = msgspec.json.decode(line, type=ScanReport)
            if said.problem is not None and every is None:
                raise said.problem.as_error()
            if said.problem is not None:  # it may be mounted again
                reporter.warning(said.problem.title)
            elif not said.done:
                reporter.line("scan", f"{said.folder}: {said.files} files, {said.read} read")
            elif said.folder not in told or said.read or said.gone:
                told.add(said.folder)
                for text in said.unreadable:
                    reporter.warning(f"not read: {text}")
                yield said
    finally:
        process.terminate()
        process.stdout.close()
        process.wait()
    if process.returncode != 0:
        raise KernsymError("scan-failed", f"the scan ended with status {process.returncode}")
