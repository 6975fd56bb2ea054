"""Where things lie on this machine: the configuration file and the store.

Flag over environment over file over default.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kernsym.distros import Unusable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def read_config(flag: Path | None, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The configuration file as a table; {} when there is none.

    Looked for: `flag`, `KERNSYM_CONFIG`, `kernsym/kernsym.toml` in the XDG configuration
    directory, `/etc/kernsym/kernsym.toml`; the first that exists counts.  One that was named must
    exist.  Raises `Unusable` (`config-not-found`, `config-broken`).
    """
    named = flag or (Path(text) if (text := environment.get("KERNSYM_CONFIG")) else None)
    if named is not None and not named.is_file():
        raise Unusable("config-not-found", f"there is no configuration file {named}")
    home = Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    usual = (home / "kernsym/kernsym.toml", Path("/etc/kernsym/kernsym.toml"))
    path = named or next((path for path in usual if path.is_file()), None)
    if path is None:
        return {}
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, OSError, UnicodeDecodeError) as error:
        raise Unusable("config-broken", f"the configuration {path} cannot be read: {error}") from (
            error
        )


def store_folder(
    flag: Path | None, config: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Path:
    """The store: `flag`, `KERNSYM_STORE`, `store` or `[store]` with its `path` in the
    configuration, the XDG cache directory."""
    if flag is not None:
        return flag.expanduser().absolute()
    named = config.get("store")
    if isinstance(named, dict):
        named = named.get("path")
    if text := environment.get("KERNSYM_STORE") or named:
        return Path(str(text)).expanduser().absolute()
    home = environment.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "kernsym"
