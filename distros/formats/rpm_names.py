"""What RPM distributions share: how packages are called, and the layout of kernel-debuginfo."""

from __future__ import annotations

import re

from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, Role

# A number of an RPM version or release, and what follows it.
NUMBERS = r"[0-9]{1,9}(?:\.[0-9]{1,9})*"
_LONGEST = 64  # of utsname.release
ARCH = r"(?:x86_64|i[3-6]86|aarch64|ppc64le|ppc64|ppc|s390x|s390|ia64)"
_MACHINE = re.compile(rf"{ARCH}|x86|armv[5-7]h?n?l|riscv64")


def match_name(pattern: re.Pattern[str], release: str) -> re.Match[str] | None:
    """The whole release as `pattern` has it; a field of utsname is never longer than 64."""
    return pattern.fullmatch(release) if len(release) <= _LONGEST else None


def rpm(role: Role, name: str, version: str, arch: str | None) -> Package:
    """The package NAME-VERSION-RELEASE.ARCH; `version` is VERSION-RELEASE, no arch is any."""
    arch = arch or "*"
    return Package(role=role, id=f"{name}-{version}.{arch}", name=name, version=version, arch=arch)


def rpm_arch(machine: str | None) -> str | None:
    """RPM's word for what `uname -m` prints: kernels of every 32-bit x86 are built as i686.

    None for what no package is built for.

    >>> rpm_arch("i586"), rpm_arch("x86_64")
    ('i686', 'x86_64')
    """
    if machine is None or not _MACHINE.fullmatch(machine):
        return None
    return "i686" if machine.endswith("86") else machine


def basearch(arch: str | None) -> str:
    """The word for an architecture in the folders of repositories."""
    return "i386" if arch == "i686" else arch or "*"


def debuginfo_layout(uname: str, *, vmlinux: str = "vmlinux") -> Layout:
    """As in the kernel-debuginfo packages of Red Hat's family, Fedora and those made from them.

    Since /lib is a link to /usr/lib, a package may have either below usr/lib/debug.  The sources
    are plain files; the names of the folder and of `linux-...` in it differ from era to era.
    """
    modules = rf"usr/lib/debug/(?:usr/)?lib/modules/{re.escape(uname)}"
    return Layout(
        vmlinux=re.compile(rf"{modules}/{re.escape(vmlinux)}"),
        modules=re.compile(
            rf"{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?(?:\.xz|\.zst|\.gz)?"
        ),
        system_map=re.compile(rf"usr/lib/debug/boot/System\.map-{re.escape(uname)}"),
        source_files=re.compile(r"usr/src/debug/[^/]+/(?:.*/)?linux-[^/]+/.+"),
    )
