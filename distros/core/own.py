"""Kernels that no distribution publishes: somebody's own build, known by its files alone."""

from __future__ import annotations

import hashlib
import re

from kernsym.distros.core.banner import find_banner
from kernsym.distros.core.errors import Unusable
from kernsym.distros.core.kernel import Kernel

NAME = "local"

_NUMBER = re.compile(r"#(?P<number>[0-9]+)")
_MARK_DIGITS = 12


def own_kernel(banner: str, build_id: str | None, arch: str) -> Kernel:
    """The kernel of a vmlinux with this banner; builds that share all but the build ID differ in
    their version: the number of the build and the first digits of that.

    Raises `Unusable` (`release-unfit`) for a banner whose release can be no folder.

    >>> own_kernel("Linux version 6.1.0-acme (me@box) (gcc) #7 SMP Tue May 14 2024", "ab" * 20,
    ...            "x86_64").key
    'local/x86_64/6.1.0-acme/7-abababababab'
    """
    found = find_banner(banner)
    number = _NUMBER.search(found.version) if found else None
    mark = build_id or hashlib.sha256(banner.encode()).hexdigest()
    try:
        return Kernel(
            distro=NAME,
            release="",
            arch=arch,
            uname=found.release if found else "",
            flavour="",
            version=f"{number['number'] if number else 0}-{mark[:_MARK_DIGITS]}",
            build_id=build_id,
        )
    except ValueError as error:
        raise Unusable("release-unfit", f"the kernel cannot be kept: {error}") from error


def is_own(kernel: Kernel) -> bool:
    """Whether somebody added it, and no distribution published it."""
    return kernel.distro == NAME
