"""Red Hat Enterprise Linux 3 to 10: told by its build hosts; its packages need an entitlement.

Names and paths: the kernel's spec files, the repository paths in public lists of advisories.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources, yum_repositories
from kernsym.distros.formats.rpm_names import basearch

_CDN = "https://cdn.redhat.com/content"
# The folder of 7 for each machine, of the ordinary kernel and of the second one (4.14, `el7a`).
_SEVEN = {"x86_64": "server", "ppc64": "power", "ppc64le": "power-le", "s390x": "system-z"}
_SEVEN_ALT = {"aarch64": "armv8-a", "ppc64le": "power9", "s390x": "system-z-a"}
# Longer support of one minor release; a build made for it is published there alone.
_LONGER = ("eus", "aus", "e4s", "tus")


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when Red Hat's build system built it; see `el_family`."""
    return el_family.claim(evidence, "rhel")


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the folders of Red Hat's CDN that can hold the kernel.

    The CDN answers 403 without a client certificate that is entitled to the folder.
    """
    # repomd.xml there is not signed, as far as is known: the packages are, and TLS is mutual.
    urls = [f"{_CDN}/{path}" for path in (_paths(kernel) if kernel.arch else ())]
    ours = (yum_repositories.of_kernel(source, kernel) for source in given)
    return rpm_sources.with_repositories(kernel, [source for source in ours if source], urls)


def _paths(kernel: Kernel) -> Iterator[str]:
    name = el_names.parse(kernel.uname)
    minor = name.minor if name else None
    real_time = "rt" in kernel.flavour.split("-")
    if kernel.release == "5":
        yield from _paths_of_5(kernel.arch)
    elif kernel.release == "6":
        # Longer support (ELS) by analogy with the ordinary folder; MRG's kernels lie elsewhere.
        yield f"dist/rhel/server/6/6Server/{basearch(kernel.arch)}/debug"
        yield f"els/rhel/server/6/6Server/{basearch(kernel.arch)}/debug"
    elif kernel.release == "7":
        yield from _paths_of_7(kernel, minor, real_time)
    elif kernel.release in ("8", "9", "10"):
        # Of 10 only the repository's id is known, the path follows from 9.
        yield from _paths_since_8(f"rhel{kernel.release}", kernel, minor, real_time)


def _paths_of_5(arch: str | None) -> Iterator[str]:
    if arch in ("x86_64", "i686"):
        for variant, folder in (("server", "5Server"), ("client", "5Client")):
            yield f"dist/rhel/{variant}/5/{folder}/{basearch(arch)}/debug"
        yield f"dist/rhel/workstation/5/5Client/{basearch(arch)}/debug"  # not confirmed
    else:  # neither is confirmed
        variant = "power" if arch == "ppc64" else "system-z"
        yield f"dist/rhel/{variant}/5/5Server/{'ppc' if arch == 'ppc64' else arch}/debug"


def _paths_of_7(kernel: Kernel, minor: int | None, real_time: bool) -> Iterator[str]:
    arch = kernel.arch or ""
    if "alt" in kernel.flavour.split("-"):
        yield f"dist/rhel-alt/server/7/7Server/{_SEVEN_ALT.get(arch, arch)}/{arch}/debug"
        return
    variant = _SEVEN.get(arch, "server")
    if real_time:
        for part in ("rt", "nfv"):
            yield f"dist/rhel/server/7/7Server/{arch}/{part}/debug"
        return
    yield f"dist/rhel/{variant}/7/7Server/{arch}/debug"
    for support in _LONGER if minor is not None else ():
        # aus, e4s and tus by analogy with eus.
        yield f"{support}/rhel/{variant}/7/7.{minor}/{arch}/debug"
    yield f"els/rhel/{variant}/7/7Server/{arch}/debug"  # not confirmed for servers


def _paths_since_8(
    product: str, kernel: Kernel, minor: int | None, real_time: bool
) -> Iterator[str]:
    # Real-time kernels lie apart, but since they share their common package it lies in baseos.
    parts = ("rt", "nfv", "baseos") if real_time else ("baseos",)
    places = [f"dist/{product}/{kernel.release}"]
    if minor is not None:
        # aus of 9 is not confirmed, none but eus of 10.
        places += [f"{support}/{product}/{kernel.release}.{minor}" for support in _LONGER]
    for place in places:
        for part in parts:
            yield f"{place}/{kernel.arch}/{part}/debug"


DISTRO = Distro(
    name="rhel",
    title="Red Hat Enterprise Linux",
    recognise=recognise,
    packages=el_names.packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=el_names.typical("rhel"),
    named=rpm_files.named(recognise, el_names.packages),
    crash_again=el_names.crash_again,
    weakly_signed=el_names.weakly_signed,
    keyrings=rpm_sources.keyrings(
        "redhat", "redhat-release", *(f"redhat{major}-release" for major in range(5, 11))
    ),
)
