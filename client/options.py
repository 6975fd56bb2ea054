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
