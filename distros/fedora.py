"""Fedora: the release says which (`.fc40`); hosts are Fedora's, Red Hat's at first, or a hash.

Names: the kernel's spec files of the years, lists of published packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Series, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats import rpm_files, rpm_sources
from kernsym.distros.formats.el_builders import builder_of
from kernsym.distros.formats.rpm_names import (
    ARCH,
    NUMBERS,
    basearch,
    debuginfo_layout,
    match_name,
    rpm,
    rpm_arch,
)

_LOCAL = "a local build"
# Words of a release: numbers, and for kernels on the way rc4, git2, 20220727git39c3c396f813, or
# the commit alone.
_WORD = r"(?:[0-9]{1,9}|rc[0-9]+|git[0-9]+|[0-9]{8}git[0-9a-f]{7,12}|[0-9a-f]{12})"
_GLUED = r"smp|xen0?|xenU|PAE(?:-?debug)?|kdump|debug|hugemem"
_UNAME = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>{_WORD}(?:\.{_WORD})*)"
    rf"(?P<tag>_FC(?P<core>[2-5])|\.fc(?P<number>[6-9]|[1-9][0-9]))(?P<glued>{_GLUED})?"
    rf"(?:\.(?P<arch>{ARCH}|armv[5-7]h?n?l))?(?:[.+](?P<variant>[A-Za-z0-9]+(?:-[a-z0-9]+)*))?"
)
_VARIANTS = frozenset({
    "debug", "PAE", "PAEdebug", "smp", "kirkwood", "tegra", "omap", "imx", "highbank", "lpae",
    "16k", "16k-debug", "64k", "64k-debug", "rt", "rt-debug", "rt-64k", "rt-64k-debug",
})  # fmt: skip
# The kernels that Fedora Core 2 and 3 came with; later ones say _FC2, _FC3.
_UNMARKED = {"2.6.5-1.358": "2", "2.6.9-1.667": "3"}
_FIRST_WITH_DEBUG = 4  # of the years before no debuginfo packages are known
_FIRST_WITH_COMMON = 6
_FIRST_WITH_XEN_APART = 7
_FIRST_WITH_SHA256 = 11
_FIRST_COMMON_BY_ARCH = 11

_PUB = "https://dl.fedoraproject.org/pub/fedora/linux"
_ARCHIVE = "https://archives.fedoraproject.org/pub/archive/fedora/linux"
_KOJI = "https://kojipkgs.fedoraproject.org/packages"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain by the release, unless somebody else built it."""
    name = match_name(_UNAME, evidence.release)
    unmarked = evidence.release.removesuffix("smp") in _UNMARKED
    if name is None or not _is_variant(name):
        return _similar(evidence.release) if not unmarked else _unmarked(evidence)
    foreign = _foreign_builder(evidence)
    if foreign:
        return _local(f"it was built by {foreign}", foreign)
    builder = evidence.banner.builder if evidence.banner else ""
    kernel = _kernel(name, evidence)
    if kernel.flavour.startswith("xen") and int(kernel.release) >= _FIRST_WITH_XEN_APART:
        reason = (
            f"{evidence.release} is of Fedora's package for Xen, of which no debuginfo is known"
        )
        return Claim(reason=reason, evidence=(evidence.release,))
    proof = (name["tag"].strip("._"), *((builder,) if builder else ()))
    reason = f"{evidence.release} is a name of Fedora {kernel.release}'s"
    return Claim(kernel=kernel, reason=reason, evidence=proof)


def _is_variant(name: re.Match[str]) -> bool:
    return name["variant"] is None or name["variant"] in _VARIANTS


def _similar(release: str) -> Claim | None:
    if not re.search(r"-.*(?:\.fc[0-9]+|_FC[0-9])", release):
        return None
    return _local(f"{release} is not a name that Fedora gives", release)


def _foreign_builder(evidence: Evidence) -> str | None:
    """The builder, when it is not one of Fedora's."""
    builder = builder_of(evidence.banner)
    if builder is None:
        return None
    ours = builder.distro in ("fedora", "rhel") or builder.anonymous or builder.cut
    return None if builder.trusted and ours else builder.text


def _local(reason: str, word: str) -> Claim:
    return Claim(unsupported=_LOCAL, reason=f"{_LOCAL} or a rebuild: {reason}", evidence=(word,))


def _unmarked(evidence: Evidence) -> Claim:
    """The first kernels of two releases, which only the builder marks as Fedora's."""
    release = evidence.release
    if evidence.banner is None or not evidence.banner.builder:
        return Claim(reason=f"{release} may be of Fedora Core: no builder", evidence=(release,))
    foreign = _foreign_builder(evidence)
    if foreign:
        return _local(f"it was built by {foreign}", foreign)
    version = release.removesuffix("smp")
    kernel = Kernel(
        distro="fedora",
        release=_UNMARKED[version],
        arch=rpm_arch(evidence.arch),
        uname=release,
        flavour="smp" if release.endswith("smp") else "",
        version=version,
    )
    reason = f"{release} is the kernel that Fedora Core {kernel.release} came with"
    return Claim(kernel=kernel, reason=reason, evidence=(release, evidence.banner.builder))


def _kernel(name: re.Match[str], evidence: Evidence) -> Kernel:
    variant = name["variant"] or name["glued"] or ""
    only_i686 = "i686" if variant.startswith("PAE") else None
    return Kernel(
        distro="fedora",
        release=name["core"] or name["number"],
        arch=name["arch"] or only_i686 or rpm_arch(evidence.arch),  # 11 had kernels for i586
        uname=evidence.release,
        flavour=variant,
        version=f"{name['version']}-{name['build']}{name['tag']}",
    )


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The debuginfo package of the variant, and what the variants share.

    Fedora Core 4 and 5 have one package for all.  Up to 10 the shared one has no arch in its name.
    """
    number, arch = int(kernel.release), kernel.arch
    if number < _FIRST_WITH_DEBUG:
        return ()
    if number < _FIRST_WITH_COMMON:
        return (rpm(Role.DEBUGINFO, "kernel-debuginfo", kernel.version, arch),)
    variant = f"-{kernel.flavour}" if kernel.flavour else ""
    shared = "kernel-debuginfo-common" + (f"-{arch}" if number >= _FIRST_COMMON_BY_ARCH else "")
    return (
        rpm(Role.DEBUGINFO, f"kernel{variant}-debuginfo", kernel.version, arch),
        rpm(Role.DEBUGINFO_COMMON, shared, kernel.version, arch),
    )


def typical(series: Series) -> Kernel | None:
    """Of a release by its number; that the version is none of its kernels' does not matter."""
    if not series.name.isdecimal() or int(series.name) < _FIRST_WITH_COMMON:
        return None
    version = f"6.0.0-1.fc{int(series.name)}"
    return Kernel(
        distro="fedora", release=series.name, arch=rpm_arch(series.arch), flavour=series.flavour,
        uname=f"{version}.{series.arch}", version=version,
    )  # fmt: skip


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then release and updates, served or archived, then Koji.

    The updates hold the newest kernel only; Koji keeps what it has not collected as garbage.
    """
    return rpm_sources.in_order(kernel, given, list(_built_in(kernel)) if kernel.arch else [])


def _built_in(kernel: Kernel) -> Iterator[Source]:
    everything = f"{kernel.release}/Everything/{basearch(kernel.arch)}/debug"
    keys = rpm_sources.keyrings("fedora", f"fedora-{kernel.release}-primary")
    # repomd.xml is not signed, the packages are; Koji's copies may not be.
    for base in (_PUB, _ARCHIVE):
        for path in (f"releases/{everything}/tree", f"updates/{everything}"):
            url = f"{base}/{path}"
            yield Source(
                distro="fedora", kind="rpm-md", url=url, signature="if-present", signed_by=keys
            )
    version, _, release = kernel.version.partition("-")
    url = f"{_KOJI}/kernel/{version}/{release}/{kernel.arch}"
    yield Source(distro="fedora", kind="directory", url=url, signature="if-present", signed_by=keys)


def weakly_signed(kernel: Kernel) -> bool:
    """Before 11 packages were signed with DSA and SHA-1."""
    return int(kernel.release) < _FIRST_WITH_SHA256


def layout(kernel: Kernel) -> Layout:
    """As of Red Hat's family."""
    return debuginfo_layout(kernel.uname)


DISTRO = Distro(
    name="fedora",
    title="Fedora",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=layout,
    typical=typical,
    named=rpm_files.named(recognise, packages),
    weakly_signed=weakly_signed,
    keyrings=rpm_sources.keyrings("fedora", "fedora"),
)
