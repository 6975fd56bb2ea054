"""How Ubuntu names the packages of a kernel, by its era, flavour and processor.

Signed kernels are built twice: `linux-image-unsigned-K` holds the image, and a package made of
the signed copy takes the plain name, whose -dbgsym is a stub.  When each flavour began with that
is read off package lists; between two known uploads either name may be the right one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kernsym.distros.formats.deb_ports import machine_of_port
from kernsym.distros.formats.ubuntu_releases import CODENAMES, LINES

# A kernel's first two numbers, or three when it is a 2.6.
Line = tuple[int, ...]
# Line -> (last ABI known under the plain name, first ABI known as unsigned).
Change = dict[Line, tuple[int, int]]

_NEVER = 1 << 30
_GENERIC: Change = {(3, 13): (165, 170), (4, 4): (128, 142), (4, 15): (19, 20)}
_AWS: Change = {
    (4, 15): (1095, 1120), (5, 4): (1045, 1069), (5, 8): (1029, _NEVER), (5, 11): (0, _NEVER),
}  # fmt: skip
_KVM: Change = {(5, 4): (1009, 1050), (5, 8): (0, _NEVER), (5, 11): (0, _NEVER)}
_CLOUDS: Change = {(4, 15): (1000, 1030)}
# The changes of a flavour, and the first line of which every upload is unsigned.
_BY_FLAVOUR: dict[str, tuple[Change, Line]] = {
    "generic": (_GENERIC, (4, 18)),
    "lowlatency": (_GENERIC, (4, 18)),
    "aws": (_AWS, (5, 13)),
    "kvm": (_KVM, (5, 13)),
}
_OTHERS: tuple[Change, Line] = (_CLOUDS, (4, 18))

# New clouds and boards join with every release: a builder of Ubuntu's is good for other words too.
FLAVOUR = re.compile(
    r"generic(?:-pae|-lpae|-64k)?|virtual|server|lowlatency(?:-64k)?|rt|realtime|preempt|386|686"
    r"|(?:686|k7|amd64-k8|amd64-xeon)(?:-smp)?|powerpc[a-z0-9-]*|e500[a-z0-9-]*|sparc64(?:-smp)?"
    r"|hppa(?:32|64)|itanium|mckinley|lpia(?:compat)?|xen|openvz|ume|ec2|omap4?|versatile|imx51"
    r"|mvl-dove|highbank|armadaxp|ac100|mako|flo|goldfish|manta|euclid|cell"
    r"|(?:aws|azure|gcp|gkeop|gke|ibm|kvm|oracle)(?:-fips|-fde|-cvm|-nvidia|-64k)?|fips"
    r"|oem(?:-osp1)?|raspi2?|raspi-(?:nolpae|realtime)|snapdragon|qcom|dell300x|iot|intel"
    r"|intel-iotg(?:-realtime)?|intel-iot-realtime|bluefield|nvidia(?:-[a-z0-9-]+)?"
    r"|xilinx(?:-[a-z]+)?|riscv|starfive|allwinner|sifive|nezha|icicle|laptop|mtk"
)
# Boards without secure boot, and flavours that ended before it.
_NEVER_SIGNED = re.compile(
    r"raspi|snapdragon|xilinx|lpae|pae\b|server\b|virtual\b|omap|riscv|starfive|allwinner|sifive"
    r"|nezha|icicle|powerpc|e500|euclid|mako|flo|goldfish|manta|highbank|mvl|dove|armadaxp|ec2\b"
)
# Port -> the first line that may be unsigned, and the first that must be.
_BY_PORT: dict[str, tuple[Line, Line]] = {
    "*": ((0,), (0,)), "amd64": ((0,), (0,)), "ppc64el": ((4, 15), (4, 15)),
    "arm64": ((4, 15), (5, 4)), "s390x": ((5, 0), (_NEVER,)),
}  # fmt: skip
# Flavours that i386 or armhf have too; their kernels are not signed.
_ON_SMALL_PORTS = ("generic", "lowlatency")

_FILE = re.compile(
    r"linux-(?:image|modules)(?:-unsigned|-debug|-extra)?"
    r"-(?P<uname>(?P<stem>[0-9.]+-[0-9]+)-[a-z0-9-]+?)(?:-dbgsym)?"
    r"_(?P=stem)\.(?P<number>[^_]+)_(?P<port>[a-z0-9]+)\.d?deb"
)
_FIRST_DBGSYM: Line = (2, 6, 27)
_LAST_DEBUG: Line = (2, 6, 31)

# Flavours that the package `linux` itself builds, which `linux-source-X.Y.Z` belongs to.
_OF_LINUX = re.compile(r"generic(?:-pae|-lpae|-64k)?|server|virtual|[36]86|powerpc[a-z0-9-]*")
_LOWLATENCY_APART: Line = (5, 15)
# Later kernels of a long-term release: the first with a package of its tree; and the lines whose
# packages had a name of their own, of the last of which both were published.
_FIRST_HWE: Line = (4, 8)
_NAMED_SOURCES: tuple[Line, Line] = ((5, 4), (6, 2))
# Others that are known to have one.
_OWN_SOURCES: dict[tuple[str, Line], str] = {
    ("gkeop", (5, 4)): "linux-gkeop", ("intel", (5, 13)): "linux-intel-5.13",
    ("ibm", (6, 8)): "linux-ibm",
}  # fmt: skip
# Flavours with clouds' and boards' trees: the first line that had any, and the first whose
# backports have the line in the name of their source package; between, some had.
_FIRST_DERIVED: Line = (4, 4)
_FIRST_WITH_LINE: Line = (5, 3)
_SAME_TREE = re.compile(r"-(?:64k|nolpae)\Z")
# Source packages that are named otherwise, or that two names are known for.
_DERIVED: dict[tuple[str, Line, bool], tuple[str, ...]] = {
    ("aws", (4, 15), True): ("linux-aws-hwe",),
    ("azure", (4, 15), False): ("linux-azure-4.15", "linux-azure"),
    ("gcp", (4, 15), False): ("linux-gcp-4.15", "linux-gcp"),
    ("nvidia", (6, 2), False): ("linux-nvidia-6.2", "linux-nvidia"),
    ("nvidia", (6, 5), False): ("linux-nvidia-6.5", "linux-nvidia"),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What the names depend on.  `port`: Debian's word for the processor, "*" unknown."""

    uname: str
    line: Line
    base: str
    abi: int
    flavour: str
    version: str
    port: str


def line_of(base: str) -> Line:
    """The line of `X.Y.Z`.

    >>> line_of("5.15.0"), line_of("2.6.32")
    ((5, 15), (2, 6, 32))
    """
    numbers = tuple(map(int, base.split(".")))
    return numbers[:3] if numbers[0] == 2 else numbers[:2]


def debug_names(build: Build) -> tuple[str, ...]:
    """The packages that may hold the vmlinux, the likelier first; one where the era tells."""
    dbgsym = f"linux-image-{build.uname}-dbgsym"
    debug = f"linux-image-debug-{build.uname}"
    if build.line < _FIRST_DBGSYM:
        return (debug,)
    if build.line <= _LAST_DEBUG:
        return debug, dbgsym
    maybe, sure = _unsigned(build)
    unsigned = f"linux-image-unsigned-{build.uname}-dbgsym"
    if sure:
        return (unsigned,)
    return (unsigned, dbgsym) if maybe else (dbgsym,)


def _unsigned(build: Build) -> tuple[bool, bool]:
    """Whether the image may be, and whether it must be, in the package that is called unsigned."""
    if _NEVER_SIGNED.search(build.flavour):
        return False, False
    may_since, must_since = _BY_PORT.get(build.port, ((_NEVER,), (_NEVER,)))
    if build.line < may_since:
        return False, False
    changes, first = _BY_FLAVOUR.get(build.flavour, _OTHERS)
    maybe = sure = build.line >= first
    if build.line in changes:
        last_plain, first_unsigned = changes[build.line]
        maybe, sure = build.abi > last_plain, build.abi >= first_unsigned
    small = build.port == "*" and build.flavour in _ON_SMALL_PORTS
    return maybe, sure and not small and build.line >= must_since


def source_names(build: Build) -> tuple[str, ...]:
    """The packages that may hold the source tree, the likelier first.

    () where the kernel's source package makes none: those of the clouds and of boards, and of the
    later kernels of 12.04 and 14.04, have their tree as `source_package_names` alone.
    """
    own = _OWN_SOURCES.get((build.flavour, build.line))
    if own:
        return (f"{own}-source-{build.base}",)
    if not _is_of_linux(build):
        return ()
    plain = f"linux-source-{build.base}"
    if "~" not in build.version:
        return (plain,)
    if build.line < _FIRST_HWE:
        return ()
    named = f"linux-hwe-{'.'.join(map(str, build.line))}-source-{build.base}"
    first, last = _NAMED_SOURCES
    names = (plain,) if not first <= build.line < last else ()
    return (*names, named) if first <= build.line <= last else names


def _is_of_linux(build: Build) -> bool:
    early = build.flavour == "lowlatency" and build.line < _LOWLATENCY_APART
    return early or _OF_LINUX.fullmatch(build.flavour) is not None


def source_package_names(build: Build) -> tuple[str, ...]:
    """The Debian source packages that may hold the tree, the likelier first; () where a package of
    `source_names` does, or none is known."""
    if source_names(build):
        return ()
    backport, number = "~" in build.version, ".".join(map(str, build.line))
    flavour = _SAME_TREE.sub("", build.flavour)
    if _is_of_linux(build):  # a later kernel of 10.04, 12.04 or 14.04
        kind = "lts-backport" if "~lucid" in build.version else "lts"
        made_for = LINES.get(build.line)
        return (f"linux-{kind}-{CODENAMES[made_for]}",) if made_for else ()
    if build.line < _FIRST_DERIVED:
        return ()
    if (flavour, build.line, backport) in _DERIVED:
        return _DERIVED[flavour, build.line, backport]
    if flavour == "lowlatency" and backport:
        return (f"linux-lowlatency-hwe-{number}",)
    plain, of_line = f"linux-{flavour}", f"linux-{flavour}-{number}"
    if not backport and flavour != "oem":
        return (plain,)
    if build.line >= _FIRST_WITH_LINE:
        return (of_line,)
    return (plain, of_line) if backport else (plain,)


def named_after(file: str) -> tuple[str, str, str] | None:
    """The uname, the build number and the processor (`uname -m`) that a package's file name tells.

    >>> named_after("linux-image-5.4.0-1029-aws-dbgsym_5.4.0-1029.30_amd64.ddeb")
    ('5.4.0-1029-aws', '30', 'x86_64')
    """
    found = _FILE.fullmatch(file)
    machine = machine_of_port(found["port"]) if found else None
    return (found["uname"], found["number"], machine) if found and machine else None
