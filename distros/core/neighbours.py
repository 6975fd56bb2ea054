"""Kernels of others that carry the words of a distribution of ours, told by marks of their own.

Asked before any distribution: who rebuilds a kernel keeps the names of the one it was made from.
Of a neighbour that has become a distribution, under the title it has here, that one is asked alone.
"""

from __future__ import annotations

import re

from kernsym.distros.core.banner import Banner
from kernsym.distros.core.distro import Claim, Evidence

# In the release alone.
_IN_RELEASE = (
    ("ELRepo", r"\.elrepo\b"),
    ("CloudLinux", r"\.lve[0-9]*\b|\.lve\."),
    ("OpenVZ or Virtuozzo", r"stab[0-9]{3}|\.vz[0-9]+\b|\.ovz|-openvz\b|\.swsoft\b"),
    ("Alibaba Cloud Linux", r"\.al[78]\b|\.alnx[0-9]*\b"),
    ("Anolis OS", r"\.an[0-9]{1,2}\b"),
    ("openEuler", r"\.oe[0-9]{1,4}(?:sp[0-9]+)?\b|\.oe\b"),
    ("EulerOS", r"\.euleros|\.eulerosv[0-9]"),
    ("TencentOS", r"\.tl[0-9]\b|[-.]tlinux"),
    ("Azure Linux", r"\.cm[12]\b|\.azl[0-9]\b"),
    ("Mageia", r"\.mga[0-9]+\b"),
    ("EasyStack", r"\.es[78](?:_[0-9]+)?\b"),
    ("Kylin", r"\.ky[0-9]+\b|\.nk[0-9.]*\b"),
    ("a preview of Red Hat's (elrdy)", r"\.elrdy\b"),
    ("CIQ", r"ciq(?:lts|fips)?\b"),
    ("Qubes OS", r"\.qubes\b"),
    ("the Fedora Asahi Remix", r"\.asahi\b"),
    ("the linux-surface project", r"\.surface\b"),
    ("XenServer", r"\.xs[0-9]"),
    ("WSL", r"-microsoft-|-Microsoft\b"),
    ("linuxkit", r"-linuxkit\b"),
    ("Arch Linux", r"-arch[0-9]|-ARCH\b|-(?:zen|hardened)[0-9]*-[0-9]"),
    ("Manjaro", r"-MANJARO\b"),
    ("Gentoo", r"-gentoo\b"),
    ("Flatcar or CoreOS", r"-flatcar\b|-coreos\b"),
    ("Talos", r"-talos\b"),
    ("Unraid", r"-Unraid\b"),
    ("TrueNAS", r"\+truenas\b"),
    ("XanMod", r"-xanmod"),
    ("Zabbly", r"-zabbly"),
    ("TuxCare", r"\.tuxcare\."),
    ("Parrot", r"parrot[0-9]"),
    ("NVIDIA's Jetson", r"-tegra\Z"),
    ("Android", r"-android[0-9]"),
    ("Pop!_OS", r"-76[0-9]{6}-generic"),
    ("the Ubuntu mainline builds", r"-[0-9]{6,8}(?:rc[0-9]+)?-(?:generic|lowlatency)"),
)
# In the builder alone, `USER@HOST`.
_IN_BUILDER = (
    ("Scientific Linux", r"\.fnal\.gov\Z"),
    ("CERN", r"\.cern\.ch\Z|@lxdist[0-9]+\b"),
    ("Springdale Linux", r"\.princeton\.edu\Z"),
    ("Alibaba Cloud Linux", r"\.alibaba(?:\.|\Z)"),
    ("Arch Linux", r"@archlinux\Z"),
    ("ChromeOS", r"\Achrome-bot@"),
    ("Alpine", r"\Abuildozer@"),
    ("Armbian", r"\Aarmbian@"),
    ("CloudLinux", r"@buildfarm[0-9]+[a-z-]*\..*cloudlinux\.com\Z"),
    ("TencentOS", r"@TENCENT64\.site\Z"),
    ("WSL", r"\Aoe-user@oe-host\Z"),
    ("Bottlerocket", r"\Abuilder@buildkitsandbox\Z"),
    ("Android", r"\A(?:android-build|build-user)@"),
    ("OpenVZ or Virtuozzo", r"@rhel[0-9]+-32-build-|\.(?:sw|openvz|virtuozzo)\.(?:ru|org|com)\Z"),
)
# In the compiler alone.
_IN_COMPILER = (
    ("Container-Optimized OS or ChromeOS", r"_cos_gg|Chromium OS"),
    ("Alibaba Cloud Linux", r"\(Alibaba "),
    ("Kylin", r"Kylin"),
    ("openEuler", r"openEuler"),
    ("TencentOS", r"TencentOS"),
    ("OpenWrt", r"OpenWrt"),
    ("Buildroot", r"Buildroot"),
)
_COMPILED = tuple(
    tuple((title, re.compile(pattern)) for title, pattern in table)
    for table in (_IN_RELEASE, _IN_BUILDER, _IN_COMPILER)
)
# What the kernel's own build appends to a changed tree, and the builders of test kernels.
_UNCLEAN = re.compile(r"(?:\+|-dirty|-git[0-9]+|-next-[0-9]{8})\Z")
_OWN_BUILDER = re.compile(r"root@")


def named(release: str, banner: Banner | None) -> str | None:
    """Who made the kernel, when it is none of the supported distributions by a mark it carries.

    >>> named("5.4.72-microsoft-standard-WSL2", None)
    'WSL'
    """
    found = _find(release, banner)
    return found[0] if found else None


def recognise(evidence: Evidence) -> Claim | None:
    """The claim `unsupported` that names the neighbour and quotes its mark."""
    found = _find(evidence.release, evidence.banner)
    if found is None:
        return None
    title, mark = found
    reason = f"{evidence.release} is a kernel of {title}, which no supported distribution publishes"
    return Claim(unsupported=title, reason=reason, evidence=(mark,))


def homemade(evidence: Evidence) -> Claim | None:
    """The claim for what no distribution recognises and somebody built for himself."""
    builder = evidence.banner.builder if evidence.banner else ""
    mark = _UNCLEAN.search(evidence.release) or _OWN_BUILDER.match(builder)
    if mark is None:
        return None
    reason = f"{evidence.release} is a local build: {builder or mark[0]}"
    return Claim(unsupported="a local build", reason=reason, evidence=(builder or mark[0],))


def _find(release: str, banner: Banner | None) -> tuple[str, str] | None:
    fields = (release, banner.builder, banner.compiler) if banner else (release, "", "")
    for field, table in zip(fields, _COMPILED, strict=True):
        for title, pattern in table:
            mark = pattern.search(field)
            if mark:
                return title, mark[0]
    return None
