"""What flags, environment and configuration file say, as one value for all commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernsym.client.output import Reporter
from kernsym.distros import Unusable

if TYPE_CHECKING:
    from kernsym.client.server_api import ServerApi

_CLIENT_KEYS = ("server", "token_file", "ca")
_PATIENCE_SECONDS = 30.0  # with a shared server that is started anew


@dataclass(slots=True)
class Settings:
    """The global options as they were given; filled while click reads them.

    `server`: URL of a server to use, None: the embedded one on our own store.
    """

    server: str | None = None
    token_file: Path | None = None
    store: Path | None = None
    config: Path | None = None
    json: bool = False
    verbose: bool = False
    quiet: bool = False
    no_progress: bool = False
    offline: bool = False
    _table: dict[str, Any] | None = field(default=None, repr=False)

    def table(self) -> dict[str, Any]:
        """The configuration file's content, read once."""
        from kernsym.cache import read_config

        if self._table is None:
            self._table = read_config(self.config)
        return self._table

    def store_folder(self) -> Path:
        from kernsym.cache import store_folder

        return store_folder(self.store, self.table())

    def config_file(self) -> Path | None:
        """The configuration file that was named, absolute; None: the usual places."""
        named = self.config or os.environ.get("KERNSYM_CONFIG")
        return Path(named).absolute() if named else None

    def server_url(self) -> str | None:
        return self.server or os.environ.get("KERNSYM_URL") or self._client_table().get("server")

    def token(self) -> str | None:
        """What a server is shown.  Raises `Unusable` (`token-unreadable`)."""
        if self.token_file is None and (token := os.environ.get("KERNSYM_TOKEN")):
            return token
        named = self.token_file or self._client_table().get("token_file")
        if named is None:
            return None
        try:
            return Path(named).expanduser().read_text().strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise Unusable("token-unreadable", f"no token in {named}: {error}") from error

    def _client_table(self) -> dict[str, str]:
        """`[client]` of the configuration.  Raises `Unusable` (`config-broken`)."""
        found = self.table().get("client", {})
        if not isinstance(found, dict) or not all(
            isinstance(value, str) for value in found.values()
        ):
            raise Unusable("config-broken", "[client] holds something that is no text")
        if unknown := found.keys() - _CLIENT_KEYS:
            raise Unusable(
                "config-broken",
                f"[client] has the unknown key {min(unknown)}",
                hint=f"known: {', '.join(_CLIENT_KEYS)}",
            )
        return found

    def reporter(self) -> Reporter:
        return Reporter(quiet=self.quiet, verbose=self.verbose, moving=not self.no_progress)

    @contextmanager
    def api(self, packages: Path | None = None) -> Iterator[ServerApi]:
        """The server that was named, or an embedded one for as long as the context lasts, which
        looks into the folder `packages` first."""
        from kernsym.client.server_api import ServerApi

        if url := self.server_url():
            named = self._client_table().get("ca")
            authority = Path(named).expanduser() if named else None
            yield ServerApi(url, self.token(), authority=authority, patience=_PATIENCE_SECONDS)
            return
        from kernsym.client.embedded import embedded_server

        with embedded_server(
            self.store_folder(),
            config=self.config_file(),
            offline=self.offline,
            verbose=self.verbose,
            packages=packages,
        ) as api:
            yield api
