"""The sources of packages that this machine is configured with: apt's, Red Hat's, SUSE's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kernsym.distros import Source
from kernsym.distros.formats import yum_repositories
from kernsym.distros.formats.apt_sources import parse_deb822, parse_one_line

_APT = "etc/apt"
_RED_HAT = "etc/yum.repos.d/redhat.repo"
_SUSE_CONNECT = "etc/SUSEConnect"
_REGISTERED = re.compile(r"(?m)^url:\s*(?P<url>https?://\S+?)/?\s*$")
_SUSE_ITSELF = "scc.suse.com"


def machine_sources(root: Path = Path("/")) -> tuple[Source, ...]:
    """The sources in apt's folder, in apt's order; the repositories of debug packages that
    subscription-manager was given; the RMT or SMT server that the machine is registered with.

    What cannot be read is passed over, as apt does for a user who may not read it.
    """
    return (*_of_apt(root / _APT), *_of_red_hat(root / _RED_HAT), *_of_suse(root / _SUSE_CONNECT))


def _of_red_hat(path: Path) -> tuple[Source, ...]:
    text = _read(path)
    return yum_repositories.parse(text, str(path)) if text else ()


def _of_suse(path: Path) -> Iterator[Source]:
    found = _REGISTERED.search(_read(path) or "")
    if found and _SUSE_ITSELF not in found["url"]:
        url = f"{found['url']}/repo"
        yield Source(distro="sles", kind="rmt", url=url, signature="if-present", origin=str(path))


def _of_apt(folder: Path) -> tuple[Source, ...]:
    """One without Signed-By is checked against the keys that apt trusts for everything."""
    trusted = tuple(str(path) for path in _trusted_keys(folder))
    return tuple(
        source if source.signed_by else replace(source, signed_by=trusted)
        for source in _configured(folder)
    )


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _configured(folder: Path) -> Iterator[Source]:
    parts = folder / "sources.list.d"
    paths = [folder / "sources.list", *sorted([*parts.glob("*.list"), *parts.glob("*.sources")])]
    for path in paths:
        text = _read(path)
        if text is not None:
            parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
            yield from parse(text, str(path))


def _trusted_keys(folder: Path) -> Iterator[Path]:
    parts = folder / "trusted.gpg.d"
    for path in (folder / "trusted.gpg", *sorted([*parts.glob("*.gpg"), *parts.glob("*.asc")])):
        if path.is_file():
            yield path
