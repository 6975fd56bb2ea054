"""`Distro.typical` of Debian and Ubuntu: what a kernel of one of their releases looks like."""

from __future__ import annotations

from collections.abc import Mapping

from kernsym.distros.core.distro import Series
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import debian_releases, ubuntu_releases
from kernsym.distros.formats.deb_ports import plain_flavour

_Lines = Mapping[tuple[int, ...], str]


def debian(series: Series) -> Kernel | None:
    """Of a release by number (12, 12.5) or code name; the plain flavour is the architecture's."""
    name = series.name.partition(".")[0]
    found = _find(name, series.line, debian_releases.CODENAMES, debian_releases.LINES)
    flavour = series.flavour or plain_flavour(series.arch)
    if found is None or not flavour:
        return None
    release, line = found
    return Kernel(
        distro="debian", release=release, arch=series.arch, uname=f"{line}.0-0-{flavour}",
        flavour=flavour, version=f"{line}.0-1",
    )  # fmt: skip


def ubuntu(series: Series) -> Kernel | None:
    """Of a release by number or code name."""
    name = series.name.removesuffix(" LTS")
    found = _find(name, series.line, ubuntu_releases.CODENAMES, ubuntu_releases.LINES)
    if found is None:
        return None
    release, line = found
    stem, flavour = line if line.count(".") > 1 else f"{line}.0", series.flavour or "generic"
    return Kernel(
        distro="ubuntu", release=release, arch=series.arch, uname=f"{stem}-0-{flavour}",
        flavour=flavour, version=f"{stem}-0.0",
    )  # fmt: skip


def _find(
    name: str, line: str, codenames: Mapping[str, str], lines: _Lines
) -> tuple[str, str] | None:
    """The number of a release, and the line that it was made with; without a name, the release
    that was made with `line`."""
    made_for = {release: ".".join(map(str, numbers)) for numbers, release in lines.items()}
    for release, its_line in made_for.items():
        if name in (release, codenames[release]) or (not name and line == its_line):
            return release, its_line
    return None
