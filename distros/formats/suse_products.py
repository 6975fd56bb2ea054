"""Which product a kernel of SUSE's is of, by its version and release; the flavours they have.

From the changelogs of kernel-default and SUSE's list of kernel versions by product.  SLES 15-SP3
and later share their kernels with Leap: these are called SLES here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FLAVOURS = frozenset(
    (
        "64kb", "azure", "bigmem", "bigsmp", "cell", "debug", "default", "desktop", "ec2",
        "iseries64", "kdump", "kvmsmall", "longterm", "lpae", "numa", "obs-qa", "omap2plus",
        "pae", "pmac64", "ppc64", "preempt", "ps3", "pseries64", "pv", "rt", "rt_debug",
        "rt_trace", "smp", "sn2", "syzkaller", "trace", "um", "vanilla", "vmi", "vmipae", "xen",
        "xenpae", "zfcpdump",
    )
)  # fmt: skip
# Flavours of one processor alone, as `uname -m` says it.
ARCH_OF_FLAVOUR = {
    "bigsmp": "i686", "pae": "i686", "vmi": "i686", "vmipae": "i686", "xenpae": "i686",
    "64kb": "aarch64", "bigmem": "ppc64", "lpae": "armv7l", "zfcpdump": "s390x",
}  # fmt: skip
# What RPM calls the processors; of two words for one, the index tells.
RPM_ARCHES = {
    "i386": ("i586", "i686"), "i586": ("i586", "i686"), "i686": ("i586", "i686"),
    "ppc64": ("ppc64", "ppc"), "armv7l": ("armv7hl",), "armv6l": ("armv6hl",),
}  # fmt: skip
MACHINES = {word: machine for machine, words in RPM_ARCHES.items() for word in words}


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`distro` is sles or opensuse, `release` as its people write it ("12-SP5", "Tumbleweed").

    `debuginfo`: whether packages with debug information of its kernels are known.
    """

    distro: str
    release: str
    debuginfo: bool = True


# (version, release) -> product.  A release pattern takes further dotted numbers behind it.
_SLES = (
    (r"2\.6\.5", r"7", "9"),
    (r"2\.6\.16\.(?:21|27|57)", r"0", "10"),
    (r"2\.6\.16\.(?:46|53|54)", r"0", "10-SP1"),
    (r"2\.6\.16\.60", r"0\.(?:8[5-9]|9[0-9]|1[0-9]{2})", "10-SP4"),
    (r"2\.6\.16\.60", r"0\.(?:5[4-9]|[67][0-9]|8[0-4])", "10-SP3"),
    (r"2\.6\.16\.60", r"0", "10-SP2"),
    (r"2\.6\.27\.19", r"5", "11"),
    (r"2\.6\.27\.48", r"0\.(?:1|12)", "11"),
    (r"2\.6\.27\.54", r"0\.2", "11"),
    (r"2\.6\.32\.[0-9]+", r"0", "11-SP1"),
    (r"3\.0\.(?:1[3-9]|[2-6][0-9]|7[0-5]|80)", r"0", "11-SP2"),
    (r"3\.0\.93", r"0\.5", "11-SP2"),
    (r"3\.0\.101", r"0\.[57]", "11-SP2"),
    (r"3\.0\.(?:7[6-9]|8[0-9]|9[0-9]|101)", r"0", "11-SP3"),
    (r"3\.0\.101", r"(?:6[3-9]|[789][0-9]|1[0-9]{2})", "11-SP4"),
    (r"3\.0\.101\.rt[0-9]+", r"0", "11-SP3"),
    (r"3\.0\.101\.rt[0-9]+", r"(?:6[3-9]|[7-9][0-9])", "11-SP4"),
    (r"3\.12\.(?:28|32|36|38|39)", r"[0-9]+", "12"),
    (r"3\.12\.[0-9]+", r"52\.[0-9]+", "12"),
    (r"3\.12\.49", r"11", "12-SP1"),
    (r"3\.12\.[0-9]+", r"60\.[0-9]+", "12-SP1"),
    (r"4\.4\.21", r"(?:69|81|84|90)", "12-SP2"),
    (r"4\.4\.38", r"93", "12-SP2"),
    (r"4\.4\.[0-9]+", r"92\.[0-9]+", "12-SP2"),
    (r"4\.4\.73", r"[57]", "12-SP3"),
    (r"4\.4\.[0-9]+", r"(?:6|94)\.[0-9]+", "12-SP3"),
    (r"4\.12\.14", r"9[45]", "12-SP4"),
    (r"4\.12\.14", r"12[02]", "12-SP5"),
    (r"4\.12\.14", r"(?:23|25|150)", "15"),
    (r"4\.12\.14", r"19[57]", "15-SP1"),
    (r"5\.3\.18", r"2[24]", "15-SP2"),
    (r"5\.3\.18", r"5[79]", "15-SP3"),
    (r"6\.4\.0", r"(?:9|[1-9][0-9])", "SL Micro 6"),
)
_OPENSUSE = (
    (r"2\.6\.8", r"24", "9.2"),
    (r"2\.6\.11\.4", r"2[0-9][a-z]?", "9.3"),
    (r"2\.6\.13", r"15", "10.0"),
    (r"2\.6\.16\.13", r"4", "10.1"),
    (r"2\.6\.18\.[0-9]+", r"(?:0|34)", "10.2"),
    (r"2\.6\.22\.[0-9]+", r"[0-9]+", "10.3"),
    (r"2\.6\.25\.[0-9]+", r"[0-9]+", "11.0"),
    (r"2\.6\.27\.7", r"9", "11.1"),
    (r"2\.6\.27\.19", r"3\.2", "11.1"),
    (r"2\.6\.27\.39", r"0\.2", "11.1"),
    (r"2\.6\.27\.56", r"0\.1", "11.1"),
    (r"2\.6\.31\.[0-9]+", r"0", "11.2"),
    (r"2\.6\.34", r"12", "11.3"),
    (r"2\.6\.34\.[0-9]+", r"0", "11.3"),
    (r"2\.6\.37\.[0-9]+", r"(?:[01]|2[0-9])", "11.4"),
    (r"3\.1\.[0-9]+", r"1", "12.1"),
    (r"3\.4\.[0-9]+", r"2", "12.2"),
    (r"3\.7\.10", r"1", "12.3"),
    (r"3\.11\.(?:6|10)", r"[0-9]{1,2}", "13.1"),
    (r"3\.12\.(?:5[3-9]|[67][0-9])", r"[0-9]{2}", "13.1"),
    (r"3\.16\.[67]", r"[0-9]{1,2}", "13.2"),
    (r"4\.1\.(?:1[2-9]|[2-9][0-9])", r"[0-9]{1,2}", "42.1"),
    (r"4\.4\.(?:27|36|46|49)", r"[0-9]{1,2}", "42.2"),
    (r"4\.4\.[0-9]+", r"18\.[0-9]+", "42.2"),
    (r"4\.4\.(?:7[6-9]|[89][0-9]|1[0-9]{2})", r"[0-9]{1,3}", "42.3"),
    (r"(?:4\.12\.14|5\.3\.18)", r"lp15(?P<minor>[012])", "15.{minor}"),
)
_TABLE = tuple(
    (distro, release, re.compile(rf"{version}-{number}(?:\.[0-9]+)*"))
    for distro, rows in (("sles", _SLES), ("opensuse", _OPENSUSE))
    for version, number, release in rows
)
_WITHOUT_DEBUGINFO = ("9", "9.2", "9.3", "10.0")
# 150300: 15-SP3; 160000: 16.0.
_CODE_STREAM = re.compile(r"[0-9.]+-1(?P<major>[5-9])0(?P<minor>[0-9])00(?:\.[0-9]+)+")
# These two flavours count their releases for themselves, on the versions of several products.
_APART = ("azure", "rt", "rt_debug")
_SLES_VERSIONS = re.compile(r"(?:4\.4\.[0-9]+|4\.12\.14|5\.3\.18)-[0-9]+(?:\.[0-9]+)*")
# 2.6.27 is of SLES 11 and of openSUSE 11.1, mostly with the same releases.
_SHARED = re.compile(r"2\.6\.27\.[0-9]+-[0-9]+(?:\.[0-9]+)*")
_ROLLING = re.compile(r"(?P<version>[0-9]+\.[0-9]+)\.[0-9]+-[1-9]")
_FIRST_ROLLING = (3, 17)


def product_of(edition: str, flavour: str) -> Product | None:
    """The product of a kernel `VERSION-RELEASE`; None when no product has such a number.

    >>> product_of("5.14.21-150500.55.52", "default").release
    '15-SP5'
    """
    stream = _CODE_STREAM.fullmatch(edition)
    if stream:
        major, minor = stream["major"], stream["minor"]
        if major != "5":
            return Product(distro="sles", release=f"1{major}.{minor}")
        return Product(distro="sles", release="15" if minor == "0" else f"15-SP{minor}")
    if flavour in _APART and _SLES_VERSIONS.fullmatch(edition):
        return Product(distro="sles", release="")
    for distro, release, pattern in _TABLE:
        found = pattern.fullmatch(edition)
        if found:
            return Product(
                distro=distro,
                release=release.format(**found.groupdict()),
                debuginfo=release not in _WITHOUT_DEBUGINFO,
            )
    rolling = _ROLLING.fullmatch(edition)
    if rolling and tuple(map(int, rolling["version"].split("."))) >= _FIRST_ROLLING:
        return Product(distro="opensuse", release="Tumbleweed")
    return None


def is_shared(edition: str) -> bool:
    """Whether SLES and openSUSE both published this number, each its own build."""
    return _SHARED.fullmatch(edition) is not None
