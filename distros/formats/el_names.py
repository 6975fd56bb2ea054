"""The names of Enterprise Linux kernels, 3 to 10: `uname -r` taken apart, and their packages.

2.6.9-67.ELsmp  2.6.18-164.el5PAE  2.6.32-431.el6.x86_64.debug  3.10.0-1160.el7.x86_64
2.6.24.7-149.el5rt  4.14.0-49.el7a.ppc64le  4.18.0-305.19.1.rt7.91.el8_4.x86_64+debug
5.14.0-447.el9.x86_64+rt
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from kernsym.distros.core.distro import Series
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats.rpm_names import (
    ARCH,
    NUMBERS,
    debuginfo_layout,
    match_name,
    rpm,
    rpm_arch,
)

_OLDEST = re.compile(
    rf"(?P<version>2\.4\.21|2\.6\.9)-(?P<build>{NUMBERS})\.(?P<tag>EL)"
    r"(?P<variant>smp|hugemem|largesmp|xenU|BOOT)?"
)
_FIVE = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>(?:rt[0-9]+\.)?{NUMBERS})\.(?P<tag>el5(?:rt)?)"
    r"(?P<plus>\.centos\.plus)?(?P<variant>PAE|xen|debug|kdump|trace|vanilla)?"
)
_LATER = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>(?:rt[0-9]+\.)?{NUMBERS})(?P<rt>\.rt[0-9]+\.{NUMBERS})?"
    r"\.(?P<tag>el(?:6rt|7a|[6-9]|1[0-9]))(?:_(?P<minor>[0-9]{1,2}))?"
    rf"(?P<tail>\.0\.[0-9]{{1,3}})?(?P<plus>\.centos\.plus)?\.(?P<arch>{ARCH})"
    r"(?:[.+](?P<variant>debug|kdump|trace|vanilla|zfcpdump|(?:rt-)?64k(?:-debug)?|rt(?:-debug)?))?"
)
# What looks as if it were such a name; Oracle's own kernels (`el8uek`) do not.
_SIMILAR = re.compile(r"-.*\.(?:EL|el[0-9]+(?!uek|[0-9]))")

# The kernel that each is made with; tag 7a is the second kernel of 7 for other machines.
_LINES = {
    "EL": ("2.4.21", "2.6.9"), "el5": ("2.6.18",), "el6": ("2.6.32",), "el7": ("3.10.0",),
    "el7a": ("4.11.0", "4.14.0"), "el8": ("4.18.0",), "el9": ("5.14.0",), "el10": ("6.12.0",),
}  # fmt: skip
# First numbers of the releases that a minor began with, where its name has no `_MINOR`.
_FIRST_BUILDS = {
    "8": (80, 147, 193, 240, 305, 348, 372, 425, 477, 513, 553),
    "9": (70, 162, 284, 362, 427, 503, 570, 611),
    "10": (55, 124),
}
_MINORS = {
    "5": (8, 18, 53, 92, 128, 164, 194, 238, 274, 308, 348, 371, 398),
    "6": (71, 131, 220, 279, 358, 431, 504, 573, 642, 696, 754),
    "7": (123, 229, 327, 514, 693, 862, 957, 1062, 1127, 1160),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ElName:
    """A name taken apart.

    `version`: VERSION-RELEASE of the packages.  `major` and `minor` of the distribution; minor
    None where nothing tells.  `stem`: of the package names (`kernel`, `kernel-rt`).  `flavour`: the
    words for the variant, joined with dashes.  `tail`: numbers that only rebuilds have, or "".
    `usual`: it is the upstream version that this major is made with.  `between`: it is of no minor
    release, as the kernels of CentOS Stream are.
    """

    version: str
    major: str
    minor: int | None
    arch: str | None
    stem: str
    variant: str
    flavour: str
    tail: str
    usual: bool
    between: bool


def looks_like_el(release: str) -> bool:
    """Whether a release has the marks of Enterprise Linux, in whatever form."""
    return _SIMILAR.search(release) is not None


def parse(release: str) -> ElName | None:
    """The parts of a name; None when it is not one that Enterprise Linux gives."""
    found = (
        match_name(_OLDEST, release) or match_name(_FIVE, release) or match_name(_LATER, release)
    )
    if found is None:
        return None
    parts = found.groupdict(default="")
    version, build, tag = parts["version"], parts["build"], parts["tag"]
    of_mrg = tag in ("el5rt", "el6rt")
    if build.startswith("rt") and not of_mrg:
        return None
    rt, variant, plus = parts.get("rt", ""), parts["variant"], parts.get("plus", "")
    major = {"2.4.21": "3", "2.6.9": "4"}[version] if tag == "EL" else tag[2:].rstrip("art")
    middle = "" if tag == "EL" else f"_{parts['minor']}" if parts.get("minor") else ""
    tail = parts.get("tail", "")
    numbers = [int(number) for number in build.removeprefix("rt").split(".")]
    separate_rt = bool(rt) or of_mrg
    # centosplus of 5 and 6 is called kernel all the same.
    stem = "kernel-rt" if separate_rt else "kernel-plus" if plus and major == "7" else "kernel"
    kind = "rt" if separate_rt else "alt" if tag == "el7a" else "plus" if plus else ""
    usual = of_mrg or version in _LINES.get(tag, ())
    return ElName(
        version=f"{version}-{build}{rt}.{tag}{middle}{tail}{plus}",
        major=major,
        minor=int(parts["minor"]) if parts.get("minor") else _minor(major, numbers[0]),
        arch=_arch(parts.get("arch", ""), variant),
        stem=stem,
        variant=variant,
        flavour="-".join(word for word in (kind, variant) if word),
        tail=tail or _rebuilt(numbers),
        usual=usual,
        between=usual and not parts.get("minor") and _is_between(major, numbers[0]),
    )


def _arch(word: str, variant: str) -> str | None:
    """Only i686 has kernels with PAE, and nothing but their name tells it."""
    return rpm_arch(word) or ("i686" if variant in ("PAE", "hugemem") else None)


def _rebuilt(numbers: list[int]) -> str:
    """`.0.N` behind at least two other numbers: Red Hat's own have it right after the first."""
    return f".0.{numbers[-1]}" if len(numbers) > 3 and numbers[-2] == 0 else ""


def _minor(major: str, build: int) -> int | None:
    """The minor release by the first number of the RPM release."""
    if major in _MINORS:
        return max(sum(first <= build for first in _MINORS[major]) - 1, 0)
    builds = _FIRST_BUILDS.get(major, ())
    return builds.index(build) if build in builds else None


def _is_between(major: str, build: int) -> bool:
    return major in _FIRST_BUILDS and build not in _FIRST_BUILDS[major]


def kernel_of(name: ElName, distro: str, release: str, arch: str | None) -> Kernel:
    """The kernel; `release` is its `uname -r`, `arch` what else tells the machine."""
    return Kernel(
        distro=distro,
        release=name.major,
        arch=name.arch or rpm_arch(arch),
        uname=release,
        flavour=name.flavour,
        version=name.version,
    )


def typical(distro: str) -> Callable[[Series], Kernel | None]:
    """`Distro.typical` for one of the family: a kernel of the last known minor of a major."""

    def kernel(series: Series) -> Kernel | None:
        major = series.name.partition(".")[0]
        lines, builds = _LINES.get(f"el{major}"), (_FIRST_BUILDS | _MINORS).get(major)
        if lines is None or builds is None or major == "5":
            return None
        sign = "+" if int(major) >= 8 else "."
        variant = f"{sign}{series.flavour}" if series.flavour else ""
        uname = f"{lines[-1]}-{builds[-1]}.el{major}.{series.arch}{variant}"
        name = parse(uname)
        return kernel_of(name, distro, uname, series.arch) if name else None

    return kernel


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The debuginfo package of the variant, and the one that the variants share.

    Up to 4 one package holds every variant and there is no other.  Kernels with `+rt` come from
    the ordinary source package, those with `.rtN.M` from one of their own.
    """
    name = parse(kernel.uname)
    if name is None:
        return ()
    arch = name.arch or kernel.arch
    if name.major in ("3", "4"):
        return (rpm(Role.DEBUGINFO, "kernel-debuginfo", name.version, arch),)
    variant = f"-{name.variant}" if name.variant else ""
    shared = f"{name.stem}-debuginfo-common" + ("" if name.major == "5" else f"-{arch}")
    return (
        rpm(Role.DEBUGINFO, f"{name.stem}{variant}-debuginfo", name.version, arch),
        rpm(Role.DEBUGINFO_COMMON, shared, name.version, arch),
    )


def weakly_signed(kernel: Kernel) -> bool:
    """Packages up to 5 are signed with DSA and SHA-1, some of the family's for 6 with SHA-1."""
    return int(kernel.release) <= 6


def layout(kernel: Kernel) -> Layout:
    """As in packages of 6 to 10; those of 5 by their spec."""
    return debuginfo_layout(kernel.uname)


def crash_again(kernel: Kernel) -> tuple[str, ...]:
    """On a fully virtualised machine a kernel of 5 lies at 2 MiB, which old dumps do not say (as
    retrace-server knows)."""
    if kernel.release != "5" or kernel.arch != "x86_64":
        return ()
    return ("--machdep", "phys_base=0x200000")
