"""A new configuration for a server that runs: what can change does, what cannot is said."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any

import msgspec

from kernsym.distros import KernsymError
from kernsym.server.config import ServerConfig
from kernsym.server.watch.logs import complain

log = logging.getLogger(__name__)

Apply = Callable[[ServerConfig], None]


class Reload:
    """Knows the configuration that holds, and who wants to be told when part of it changes."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._applies: list[tuple[frozenset[str], Apply]] = []
        self.on_change(_set_level, "log_level")

    @property
    def config(self) -> ServerConfig:
        """What holds now."""
        return self._config

    def on_change(self, apply: Apply, *names: str) -> None:
        """Have `apply` called with the new configuration when one of these values changes.

        Without names it is called each time, for what files say that the configuration names.
        What `apply` raises as a `KernsymError` is logged.
        """
        self._applies.append((frozenset(names), apply))

    async def __call__(self, read: Callable[[], ServerConfig]) -> None:
        """Take over what `read` gives.  A configuration that is broken changes nothing."""
        try:
            new = await asyncio.to_thread(read)
        except KernsymError as error:
            complain(log, "the configuration stays as it was", error)
            return
        before, after = _values(self._config), _values(new)
        changed = {name for name, value in after.items() if value != before[name]}
        self._config = new
        for names, apply in self._applies:
            if not names or names & changed:
                try:
                    apply(new)
                except KernsymError as error:
                    complain(log, "not all of the new configuration holds", error)
        log.info("the configuration was read again; changed: %s", _listed(changed) or "nothing")
        if fixed := changed.difference(*(names for names, _ in self._applies)):
            log.warning("%s: holds from the next start of the server on", _listed(fixed))


def _values(config: ServerConfig) -> dict[str, Any]:
    """All values by the name that a person knows."""
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    del values["options"]
    return {**msgspec.structs.asdict(config.options), **values}


def _set_level(config: ServerConfig) -> None:
    logging.getLogger().setLevel(config.options.log_level.upper())


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names))
