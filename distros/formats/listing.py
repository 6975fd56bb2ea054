"""The names in a folder's page: an HTML index, or plain names, a line each."""

from __future__ import annotations

import fnmatch
import html
import re
from dataclasses import replace

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.package import Package, PackageRef

_LINK = re.compile(r"""href\s*=\s*["']?([^"'\s>]+)""", re.IGNORECASE)
_ESCAPED = re.compile(r"%([0-9A-Fa-f]{2})")


def names_in(page: bytes) -> tuple[str, ...]:
    """The names of a folder's direct members, in the page's order."""
    text = page.decode("utf-8", "replace")
    links = _LINK.findall(text)
    if links:
        names = [unescape(link.split("?", 1)[0].removeprefix("./")) for link in links]
    else:
        names = [line.strip() for line in text.splitlines()]
    return tuple(dict.fromkeys(name for name in names if name and "/" not in name.rstrip("/")))


def find_name(page: bytes, pattern: str) -> str | None:
    """The first name that is `pattern`, where `*` stands for what is not known."""
    return next((name for name in names_in(page) if fnmatch.fnmatchcase(name, pattern)), None)


def unescape(link: str) -> str:
    """A link as the name that it means."""
    return _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)), html.unescape(link))


def named(package: Package, file: str) -> Package:
    """The package with the file name that it was found under (`NAME_VERSION_ARCH.deb`, `.ddeb`)."""
    return replace(package, id=file, arch=file.rsplit("_", 1)[-1].split(".", 1)[0])


def locate(package: Package, source: Source, fetch: Fetch) -> PackageRef | None:
    """The package by its file name in a folder's page; None when it is not there.

    A folder states no digest: what it gives is judged by the vmlinux inside alone.
    """
    base = source.url.rstrip("/")
    page = fetch.page(f"{base}/")
    name = find_name(page.body, package.id) if page else None
    if name is None:
        return None
    address = name.replace("+", "%2B") if base.startswith("http") else name
    return PackageRef(
        package=named(package, name),
        url=f"{base}/{address}",
        origin=source.place,
        why=f"the folder {source.place} holds {name}, without a digest ({source.origin})",
    )
