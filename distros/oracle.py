"""Oracle Linux 5 to 10: rebuilt kernels (RHCK), and the Unbreakable Enterprise Kernel (UEK).

UEK's names are Oracle's alone (`el8uek`); RHCK is told from RHEL as the family's others are.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from kernsym.distros.core.distro import Claim, Distro, Evidence, Series, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources
from kernsym.distros.formats.el_builders import builder_of
from kernsym.distros.formats.rpm_names import (
    ARCH,
    NUMBERS,
    match_name,
    rpm,
    rpm_arch,
)

# The first year's UEK, which does not say so; Red Hat has no release 100 of 2.6.32.
_FIRST_UEK = re.compile(
    rf"(?P<version>2\.6\.32)-(?P<build>100\.{NUMBERS})\.el(?P<major>[56])(?P<kind>)"
    rf"(?P<variant>debug)?(?:\.(?P<arch>{ARCH}))?"
)
# The first releases whose build IDs are equal again; of UEK 4 there is none.
_FIRST_EQUAL = {"4.1.12": (10**9,), "4.14.35": (2047, 537, 3), "5.4.17": (2136, 332, 2)}
_FLAT = "https://oss.oracle.com"
_UEK = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>{NUMBERS})\.el(?P<major>[5-9]|1[0-9])(?P<kind>uek|ueknext)"
    rf"(?:\.(?P<arch>{ARCH}))?(?:[.+](?P<variant>debug|64k|64k-debug))?"
)


def recognise(evidence: Evidence) -> Claim | None:
    """Certain for UEK, unless somebody else built it; for RHCK see `el_family`."""
    name = _uek(evidence.release)
    builder = builder_of(evidence.banner)
    unmarked = name is not None and not name["kind"]
    if name is None or (unmarked and not (builder and builder.distro == "oracle")):
        return el_family.claim(evidence, "oracle") or _other_uek(evidence.release)
    ours = builder is None or (
        builder.trusted and (builder.distro == "oracle" or builder.anonymous or builder.cut)
    )
    if builder and not ours:
        reason = f"a local build or a rebuild of Oracle's kernel: it was built by {builder.text}"
        return Claim(unsupported="a local build", reason=reason, evidence=(builder.text,))
    kernel = Kernel(
        distro="oracle",
        release=name["major"],
        arch=rpm_arch(name["arch"] or evidence.arch),
        uname=evidence.release,
        flavour="-".join(word for word in (name["kind"] or "uek", name["variant"]) if word),
        version=f"{name['version']}-{name['build']}.el{name['major']}{name['kind']}",
    )
    proof = (evidence.release, *((builder.text,) if builder else ()))
    return Claim(kernel=kernel, reason="it is an Unbreakable Enterprise Kernel", evidence=proof)


def _uek(release: str) -> re.Match[str] | None:
    return match_name(_UEK, release) or match_name(_FIRST_UEK, release)


def _other_uek(release: str) -> Claim | None:
    if not re.search(r"\.el[0-9]+uek", release):
        return None
    reason = f"a local build or a preview: {release} is not a name that Oracle publishes"
    return Claim(unsupported="a local build", reason=reason, evidence=(release,))


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """RHCK's as of the whole family; the package that UEK's variants share has no arch in its name.

    The names of 64k kernels and of what ueknext's variants share are by analogy.
    """
    name = _uek(kernel.uname)
    if name is None:
        return el_names.packages(kernel)
    stem, variant = f"kernel-{name['kind'] or 'uek'}", name["variant"] or ""
    named = stem + (variant if variant.startswith("64k") else f"-{variant}" if variant else "")
    return (
        rpm(Role.DEBUGINFO, f"{named}-debuginfo", kernel.version, kernel.arch),
        rpm(Role.DEBUGINFO_COMMON, f"{stem}-debuginfo-common", kernel.version, kernel.arch),
    )


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then Oracle's folder of the major release: one flat page, no index.

    That of 10 is by analogy.
    """
    url = f"{_FLAT}/ol{kernel.release}/debuginfo"
    flat = Source(distro="oracle", kind="directory", url=url, signature="if-present")
    return rpm_sources.in_order(kernel, given, [flat] if int(kernel.release) >= 5 else [])


def typical(series: Series) -> Kernel | None:
    """RHCK's as of the whole family; `uek` is a flavour."""
    kernel = el_names.typical("oracle")(replace(series, flavour=""))
    if kernel is None or not series.flavour:
        return kernel
    return replace(kernel, flavour=series.flavour)


def build_id_differs(kernel: Kernel) -> bool:
    """Whether the vmlinux of the debuginfo package has another build ID than the kernel that runs.

    So it is for all of UEK 4, and for UEK 5 and 6 before the releases of the table (as Oracle's
    drgn-tools know); modules are not concerned.
    """
    name = _UEK.fullmatch(kernel.uname)
    if name is None or name["version"] not in _FIRST_EQUAL:
        return False
    return tuple(map(int, name["build"].split("."))) < _FIRST_EQUAL[name["version"]]


DISTRO = Distro(
    name="oracle",
    title="Oracle Linux",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=typical,
    named=rpm_files.named(recognise, packages),
    crash_again=el_names.crash_again,
    weakly_signed=el_names.weakly_signed,
    build_id_differs=build_id_differs,
    keyrings=rpm_sources.keyrings(
        "oraclelinux", "oracle", *(f"oracle-ol{major}" for major in range(6, 11))
    ),
)
