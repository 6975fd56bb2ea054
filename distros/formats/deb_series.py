"""`Distro.typical` of Debian and Ubuntu: what a kernel of one of their releases looks like."""

from __future__ import annotations

from kernsym.distros.core.distro import Series
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import debian_releases, ubuntu_releases
from kernsym.distros.formats.deb_ports import plain_flavour


def debian(series: Series) -> Kernel | None:
    """Of a release by number or code name; the plain flavour is that of the architecture."""
    release = next(
        (key for key, word in debian_releases.CODENAMES.items() if series.name in (key, word)), ""
    )
    line = next(
        (line for line, made_for in debian_releases.LINES.items() if made_for == release), None
    )
    flavour = series.flavour or plain_flavour(series.arch)
    if line is None or not flavour:
        return None
    stem = ".".join(map(str, line))
    return Kernel(
        distro="debian", release=release, arch=series.arch, uname=f"{stem}.0-0-{flavour}",
        flavour=flavour, version=f"{stem}.0-1",
    )  # fmt: skip


def ubuntu(series: Series) -> Kernel | None:
    """Of a release by number or code name."""
    release = next(
        (key for key, word in ubuntu_releases.CODENAMES.items() if series.name in (key, word)), ""
    )
    line = next(
        (line for line, made_for in ubuntu_releases.LINES.items() if made_for == release), None
    )
    if line is None:
        return None
    stem, flavour = ".".join(map(str, (*line, 0)[:3])), series.flavour or "generic"
    return Kernel(
        distro="ubuntu", release=release, arch=series.arch, uname=f"{stem}-0-{flavour}",
        flavour=flavour, version=f"{stem}-0.0",
    )  # fmt: skip
