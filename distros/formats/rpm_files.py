"""The kernel that the name of an RPM tells: `NAME-VERSION-RELEASE.ARCH`, with `.rpm` or without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from kernsym.distros.core.distro import Evidence, Recognise
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.package import Package
from kernsym.distros.formats.rpm_names import ARCH

_FILE = re.compile(
    r"(?P<name>(?:kernel|linux)(?P<words>[A-Za-z0-9._-]*?))"
    rf"-(?P<edition>[0-9][^-/]*-[^-/]+)\.(?P<arch>{ARCH})(?:\.rpm)?"
)
# Parts of one kernel, of which the debuginfo package has the symbols of all.
_PART = re.compile(r"-(?:core|modules(?:-(?:core|extra|internal|partner))?)\Z")
_NO_VARIANTS = {"", "debuginfo", "common", "core", "modules", "extra", "internal", "partner", "uek"}


def named(
    recognise: Recognise, packages: Callable[[Kernel], tuple[Package, ...]]
) -> Callable[[str], Kernel | None]:
    """`Distro.named` for a distribution whose `packages` says how it names those of a kernel: the
    one is meant, of those that the words allow, whose packages are named so."""

    def kernel_of(file: str) -> Kernel | None:
        found = _FILE.fullmatch(file)
        if found is None:
            return None
        name, edition, arch = _PART.sub("", found["name"]), found["edition"], found["arch"]
        for uname in _unames(found["words"].split("-"), edition, arch):
            evidence = Evidence(
                fingerprint=Fingerprint(release=uname),
                banner=None,
                release=uname,
                version="",
                arch=arch,
            )
            claim = recognise(evidence)
            kernel = (claim.kernel or claim.candidate) if claim else None
            for package in packages(kernel) if kernel else ():
                names = package.name, package.name.removesuffix("-debuginfo")
                if name in names and package.version == edition:
                    return kernel
        return None

    return kernel_of


def edition_of(file: str) -> str:
    """VERSION-RELEASE of the name of an RPM; "" for another name.

    >>> edition_of("kernel-default-debuginfo-5.14.21-150500.55.52.1.x86_64.rpm")
    '5.14.21-150500.55.52.1'
    """
    found = _FILE.fullmatch(file)
    return found["edition"] if found else ""


def _unames(words: list[str], edition: str, arch: str) -> Iterator[str]:
    """What `uname -r` may print of a kernel, as every era and distribution spells its variant."""
    variants = [word for word in words if word not in {*_NO_VARIANTS, arch}]
    for first in range(len(variants)):
        variant = "-".join(variants[first:])
        yield from (f"{edition}.{arch}+{variant}", f"{edition}.{arch}.{variant}")
        yield from (f"{edition}{variant}", f"{edition}-{variant}")
    yield from (f"{edition}.{arch}", edition)
