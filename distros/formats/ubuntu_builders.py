"""Who builds Ubuntu's kernels, and what the name of the host tells of the processor."""

from __future__ import annotations

import re

from kernsym.distros.formats.deb_ports import machine_of_port
from kernsym.distros.formats.ubuntu_packages import Line

_BUILDER = re.compile(r"buildd(?:@|_at_| at | ?[\[(]at[\])] ?)(?P<host>[\w.-]+)")
# Edgy's builds ran as root.
_ROOT_BUILDERS = re.compile(r"root@(?:palmer|rothera|terranova|vernadsky|yellow)")
_ROOT_LINE: Line = (2, 6, 17)

_HOST_PORT = re.compile(r"(?:\A|-)(?P<port>amd64|arm64|ppc64el|s390x|riscv64)-")
_LAST_WITH_I386: Line = (5, 3)  # as a release's own; 18.04 had it to the end of its later kernels
# Flavours that i386 had as well, on builders that call themselves amd64.
_ON_I386 = re.compile(r"generic(?:-pae)?|lowlatency|virtual|server|[36]86|preempt|rt|xen|openvz")
# Flavours that armhf has as well, on builders that call themselves arm64.
_ON_ARMHF = re.compile(r"generic(?:-lpae)?|lowlatency|raspi.*")


def is_ubuntus(builder: str) -> bool:
    """Whether a `USER@HOST` is of Ubuntu's build farm."""
    return _BUILDER.fullmatch(builder) is not None


def is_edgys(builder: str, line: Line, trailer: str) -> bool:
    """Whether it is one of the hosts that built the kernels of 6.10."""
    old = line == _ROOT_LINE and trailer.startswith("Ubuntu ")
    return old and _ROOT_BUILDERS.fullmatch(builder) is not None


def machine_of_builder(builder: str, line: Line, release: str, flavour: str) -> str | None:
    """`uname -m`, where the host leaves no choice: those called amd64 made i386 kernels too, and
    those called arm64 armhf ones.

    >>> machine_of_builder("buildd@bos02-arm64-065", (5, 15), "22.04", "xilinx-zynqmp")
    'aarch64'
    """
    built = _BUILDER.fullmatch(builder)
    port = _HOST_PORT.search(built["host"]) if built else None
    if port is None or flavour.startswith("powerpc"):
        return None
    had_i386 = line <= _LAST_WITH_I386 or release == "18.04"
    if port["port"] == "amd64" and had_i386 and _ON_I386.fullmatch(flavour):
        return None
    if port["port"] == "arm64" and _ON_ARMHF.fullmatch(flavour):
        return None
    return machine_of_port(port["port"])
