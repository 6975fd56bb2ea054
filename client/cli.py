"""The `kernsym` command: global options, the list of commands, errors as exit statuses.

Commands are imported when they are called, so that `kernsym --help` is quick.
"""

from __future__ import annotations

import importlib
import keyword
import os
import signal
import sys

import click

from kernsym.client import exits
from kernsym.client.options import global_options, settings_of
from kernsym.distros import KernsymError

# Name of the command → its module in kernsym.client.commands, and the line that --help shows.
_COMMANDS = {
    "identify": ("identify", "Which kernel, which packages."),
    "fetch": ("fetch", "Bring a kernel's symbols here."),
    "crash": ("crash", "All of it, then crash."),
    "add": ("add", "Keep a kernel of one's own, with its modules and sources."),
    "scan": ("scan", "Learn what lies in folders of this machine."),
    "catalog": ("catalog", "What the sources publish, and what has gone."),
    "preseed": ("preseed", "Fill a store ahead of time."),
    "serve": ("serve", "Run the server."),
    "jobs": ("jobs", "What a server is bringing, and what it brought."),
    "token": ("token", "Who may ask a server for what."),
    "ls": ("store", "What the store holds."),
    "show": ("store", "One kernel of the store, file by file."),
    "rm": ("store", "Remove a kernel from the store."),
    "export": ("bundles", "Pack kernels into one file."),
    "import": ("bundles", "Take the kernels of such a file in."),
    "du": ("upkeep", "What the store takes on the disk."),
    "gc": ("upkeep", "Bring the store within its limits."),
    "verify": ("verify", "Whether the store is whole; mend it."),
    "pin": ("upkeep", "Keep a kernel, whatever the limits say."),
    "unpin": ("upkeep", "Let a pinned kernel go again."),
    "doctor": ("doctor", "What is missing on this machine, and how to get it."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"kernsym.client.commands.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(
            module, f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        from importlib.metadata import version

        click.echo(f"kernsym {version('kernsym')}")
        ctx.exit()


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
@global_options
def kernsym() -> None:
    """Finds the right symbols for a Linux kernel dump and opens it with them.

    Answers go to stdout, everything else to stderr.
    """


def _fault(error: Exception) -> KernsymError:
    """An error that nobody foresaw, for a person."""
    return KernsymError(
        "fault",
        f"{type(error).__name__}: {error}",
        hint="this is a fault of kernsym; with -v it shows where",
    )


def main() -> None:
    """Run the command and exit: 0 done, 1 fault, 2 usage, 3 not identified, 4 not published,
    5 could not find out, 6 refused, 130 interrupted."""
    context: click.Context | None = None
    try:
        with kernsym.make_context("kernsym", sys.argv[1:]) as context:
            status = kernsym.invoke(context)
        sys.exit(status or exits.DONE)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KernsymError as error:
        settings_of(context).reporter().error(error)
        sys.exit(exits.exit_status(error))
    except (KeyboardInterrupt, click.Abort):
        print("interrupted; what was brought so far is kept", file=sys.stderr)
        sys.exit(exits.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our stdout has gone, as with `| head`: end as other programs do.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        settings = settings_of(context)
        if settings.verbose:
            raise
        settings.reporter().error(_fault(error))
        sys.exit(exits.FAULT)
