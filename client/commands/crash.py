"""`kernsym crash`: a dump, its symbols, and the prompt."""

from __future__ import annotations

from pathlib import Path

import click

from kernsym.client.options import WithPartial, global_options, partial_option, pass_settings
from kernsym.client.settings import Settings


@click.command(cls=WithPartial)
@click.argument("dump", type=click.Path(path_type=Path))
@click.argument("crash_args", nargs=-1, metavar="[-- CRASH-ARGS]", type=click.UNPROCESSED)
@click.option("--print", "only_print", is_flag=True, help="Print the command, do not run it.")
@click.option("--crash", "program", metavar="PROGRAM", help="This crash [KERNSYM_CRASH, PATH].")
@click.option("--all-modules", is_flag=True, help="Fetch every module, not only the loaded ones.")
@click.option("--no-sources", is_flag=True, help="Fetch no source code.")
@partial_option
@global_options
@pass_settings
def crash(
    settings: Settings,
    dump: Path,
    crash_args: tuple[str, ...],
    only_print: bool,
    program: str | None,
    all_modules: bool,
    no_sources: bool,
    partial: str | None,
) -> int:
    """Open DUMP in crash with the symbols of its kernel, its modules and its sources.

    At a terminal the prompt comes before the sources have: `list` shows them as soon as they are
    there.  The exit status is crash's own.
    """
    from kernsym.cache.messages import Partial
    from kernsym.client.debuggers.crash_run import CrashWish, run

    wish = CrashWish(
        dump=dump,
        program=program,
        arguments=crash_args,
        all_modules=all_modules,
        sources=not no_sources,
        only_print=only_print,
        partial=Partial(partial or "no"),
    )
    return run(settings, wish)
