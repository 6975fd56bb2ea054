"""The apt sources that this machine is configured with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kernsym.distros import Source
from kernsym.distros.formats.apt_sources import parse_deb822, parse_one_line

_APT = Path("/etc/apt")


def machine_sources(folder: Path = _APT) -> tuple[Source, ...]:
    """The sources in apt's folder, in apt's order; () where there is no apt.

    One without Signed-By is checked against the keys that apt trusts for everything.  What cannot
    be read is passed over, as apt does for a user who may not read it.
    """
    trusted = tuple(str(path) for path in _trusted_keys(folder))
    return tuple(
        source if source.signed_by else replace(source, signed_by=trusted)
        for source in _configured(folder)
    )


def _configured(folder: Path) -> Iterator[Source]:
    parts = folder / "sources.list.d"
    paths = [folder / "sources.list", *sorted([*parts.glob("*.list"), *parts.glob("*.sources")])]
    for path in paths:
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parse = parse_deb822 if path.suffix == ".sources" else parse_one_line
        yield from parse(text, str(path))


def _trusted_keys(folder: Path) -> Iterator[Path]:
    parts = folder / "trusted.gpg.d"
    for path in (folder / "trusted.gpg", *sorted([*parts.glob("*.gpg"), *parts.glob("*.asc")])):
        if path.is_file():
            yield path
