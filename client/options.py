"""The global options, accepted before and after the command's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kernsym.client.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])


def settings_of(context: click.Context | None) -> Settings:
    """The settings that the options have filled so far."""
    if context is None:
        return Settings()
    settings: Settings = context.find_root().ensure_object(Settings)
    return settings


pass_settings = click.make_pass_decorator(Settings, ensure=True)


def global_options(command: F) -> F:
    """Add the global options; their values go to the `Settings` of the context."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


class WithPartial(click.Command):
    """A command with `--partial[=only]`; click's own optional values would swallow the dump."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        options = [_ONLY if word == "--partial=only" else word for word in args[:end]]
        return super().parse_args(context, options + args[end:])


_ONLY = "--partial-only"


def partial_option(command: F) -> F:
    """Add `--partial[=only]` to a command of the class `WithPartial`."""
    for option in (
        click.option(_ONLY, "partial", flag_value="only", hidden=True),
        click.option(
            "--partial",
            "partial",
            flag_value="later",
            help="Fetch only what is needed of a package; the rest, and the proof that its "
            "signature holds, follow in the background; with --partial=only never.",
        ),
    ):
        command = option(command)
    return command


def _keep(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is not None and value is not False and parameter.name is not None:
        setattr(settings_of(context), parameter.name, value)


def _option(*names: str, **attributes: Any) -> Callable[[F], F]:
    return click.option(*names, expose_value=False, callback=_keep, **attributes)


_PATH = click.Path(path_type=Path)
_OPTIONS = (
    _option("--server", metavar="URL", help="Use this server [KERNSYM_URL]."),
    _option("--token-file", metavar="FILE", type=_PATH, help="Its token [KERNSYM_TOKEN]."),
    _option("--store", metavar="DIR", type=_PATH, help="Keep symbols here [KERNSYM_STORE]."),
    _option("--config", metavar="FILE", type=_PATH, help="Configuration [KERNSYM_CONFIG]."),
    _option("--json", is_flag=True, help="Answer in JSON."),
    _option("-v", "--verbose", is_flag=True, help="Say more."),
    _option("-q", "--quiet", is_flag=True, help="Say nothing but errors."),
    _option("--no-progress", is_flag=True, help="No progress bars."),
    _option("--offline", is_flag=True, help="Ask no repository; use what is held."),
)
