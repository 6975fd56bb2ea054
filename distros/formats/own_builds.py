"""The packages of somebody's own builds, as the kernel's own `make` and common practice name them.

Facts: scripts/package/{builddeb,mkspec} of the kernel's sources.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from kernsym.distros.core.distro import Distro, Fetch, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.own import NAME
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats.listing import names_in

_DEBS = ("linux-image-{}-dbg_*", "linux-image-{}-dbgsym_*", "linux-image-unsigned-{}-dbgsym_*")


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """Whatever may hold its vmlinux; which file does, that alone proves."""
    uname = kernel.uname
    # `make rpm-pkg` writes the release as a version, which may hold no dashes.
    rpms = (f"kernel-debuginfo-{uname}", f"kernel-debuginfo-{uname.replace('-', '_')}-*")
    named = (
        *(f"{title.format(uname)}.*deb" for title in _DEBS),
        *(f"{title}.rpm" for title in rpms),
    )
    return tuple(
        Package(role=Role.DEBUGINFO, id=title, name=title.partition("_*")[0], version="*", arch="*")
        for title in named
    )


def named_for(kernel: Kernel, file: str) -> bool:
    """Whether a package of this file name may hold the kernel."""
    return any(fnmatchcase(file, package.id) for package in packages(kernel))


def _locate_all(
    package: Package, kernel: Kernel, source: Source, fetch: Fetch
) -> tuple[PackageRef, ...]:
    return tuple(_in_folder(package, source, fetch))


def _in_folder(package: Package, source: Source, fetch: Fetch) -> Iterator[PackageRef]:
    base = source.url.rstrip("/")
    page = fetch.page(f"{base}/") if source.kind == "directory" else None
    for name in names_in(page.body) if page else ():
        if fnmatchcase(name, package.id):
            yield PackageRef(
                package=replace(package, id=name.removesuffix(".rpm")),
                url=f"{base}/{name}",
                origin=source.place,
                why=f"the folder {source.place} holds {name}, without a digest ({source.origin})",
            )


def _sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """Nobody else has them."""
    return tuple(source for source in given if source.kind == "directory")


def _layout(kernel: Kernel) -> Layout:
    uname = re.escape(kernel.uname)
    modules = rf"usr/lib/debug/(?:usr/)?lib/modules/{uname}"
    return Layout(
        vmlinux=re.compile(rf"usr/lib/debug/boot/vmlinux-{uname}|{modules}/vmlinux"),
        modules=re.compile(
            rf"{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?(?:\.xz|\.zst|\.gz)?"
        ),
        source_root="source",  # of those that were added
    )


OWN = Distro(
    name=NAME,
    title="own build",
    recognise=lambda evidence: None,
    packages=packages,
    sources=_sources,
    locate=lambda package, kernel, source, fetch: next(_in_folder(package, source, fetch), None),
    locate_all=_locate_all,
    layout=_layout,
)
