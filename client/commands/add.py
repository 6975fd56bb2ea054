"""`kernsym add`: a kernel of one's own, kept as those of distributions are."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from kernsym.client.options import global_options, pass_settings
from kernsym.client.settings import Settings


@click.command()
@click.argument("vmlinux", type=click.Path(path_type=Path))
@click.argument("modules", required=False, metavar="[MODULES-DIR]", type=click.Path(path_type=Path))
@click.option("--source", metavar="DIR", type=click.Path(path_type=Path), help="Its source tree.")
@click.option("--label", metavar="TEXT", default="", help="What people call it.")
@global_options
@pass_settings
def add(
    settings: Settings, vmlinux: Path, modules: Path | None, source: Path | None, label: str
) -> None:
    """Keep VMLINUX, with the modules in MODULES-DIR and below, in the store (or a server's).

    For kernels that no distribution publishes: a dump of one opens with `kernsym crash` then, by
    its banner and its build ID.  All is copied, of DIR the source files, so that the build may go.
    The place of a distribution's kernel is never taken: where one claims the banner, only the
    build ID leads to what was added.  Prints the kernel's key.
    """
    from kernsym.client.own_build import find_files, packed

    reporter = settings.reporter()
    build = find_files(vmlinux, modules, source)
    if build.packed:
        reporter.warning(f"{build.packed} modules are compressed and left out: unpack them first")
    with settings.api() as api:
        pieces = packed(build, lambda done, total: reporter.progress("add", done, total))
        bundle = api.add_kernel(pieces, label)
    reporter.end_progress()
    reporter.line("banner", bundle.verification.banner)
    reporter.line("build ID", bundle.verification.build_id or "none")
    reporter.line("added", f"{build.modules} modules, {build.sources} source files")
    click.echo(msgspec.json.encode(bundle).decode() if settings.json else bundle.kernel.key)
