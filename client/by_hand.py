"""What to download elsewhere, for machines that reach no mirror: a line a file, for a shell.

kernsym fetch --print-urls BANNER | while read -r size digest url name; do
    curl -fLo "$name" "$url" && echo "${digest#sha256:}  $name" | sha256sum -c; done
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import click

from kernsym.cache.messages import Part, SymbolsRequest
from kernsym.cache.planning import ResolveRequest
from kernsym.client.settings import Settings
from kernsym.distros import Fingerprint, PackageRef


def print_downloads(settings: Settings, fingerprint: Fingerprint, *, sources: bool) -> None:
    """Print the packages of a kernel: size and digest (`-` unknown), address, file name.

    Raises which of the three outcomes it is where there is none.
    """
    parts = (Part.SYMBOLS, Part.SOURCES) if sources else (Part.SYMBOLS,)
    with settings.api() as api:
        for part in parts:
            wanted = SymbolsRequest(fingerprint=fingerprint, part=part)
            for kernel in api.resolve(ResolveRequest(wanted=wanted)).kernels:
                for ref in kernel.first:
                    for file in ref.files:
                        _print(settings, file)


def _print(settings: Settings, ref: PackageRef) -> None:
    row = {"size": ref.size, "digest": ref.digest, "url": public(ref.url), "name": file_name(ref)}
    if settings.json:
        click.echo(json.dumps({**row, "origin": ref.origin, "signed_by": ref.signed_by}))
    else:
        click.echo(" ".join(_words(row)))


def _words(row: dict[str, str | int | None]) -> Iterator[str]:
    for value in row.values():
        yield "-" if value is None else str(value)


def file_name(ref: PackageRef) -> str:
    """What the file has to be called in a folder that is a [[source]]."""
    last = ref.url.partition("?")[0].rpartition("/")[2]
    if last.endswith(".rpm"):
        return f"{ref.package.id}.rpm"
    return ref.package.id


def public(url: str) -> str:
    """An address without what lets one in: a token in its query, a password.

    >>> public("https://me:secret@mirror.example/a.rpm?token")
    'https://mirror.example/a.rpm'
    """
    scheme, separator, rest = url.partition("?")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}"
