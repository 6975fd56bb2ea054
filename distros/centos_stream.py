"""CentOS Stream 8 to 10: built at redhat.com, of releases between the minor ones of RHEL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources

_CURRENT = "https://mirror.stream.centos.org"
_KOJI = "https://kojihub.stream.centos.org/kojifiles/packages"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when Stream's build system built it, or its release is of no minor of RHEL."""
    return el_family.claim(evidence, "centos-stream")


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the newest builds' repository, then Koji, which keeps all of 9 and 10."""
    built_in = list(_built_in(kernel)) if kernel.arch else []
    return rpm_sources.in_order(kernel, given, built_in)


def _built_in(kernel: Kernel) -> Iterator[Source]:
    major, arch = kernel.release, kernel.arch
    if major == "8":  # closed; whether the host still answers is not known
        url = f"http://debuginfo.centos.org/8-stream/{arch}"
        yield Source(distro="centos-stream", kind="rpm-md", url=url, signature="if-present")
        return
    parts = ("RT", "NFV", "BaseOS") if "rt" in kernel.flavour.split("-") else ("BaseOS",)
    for part in parts:  # RT and NFV by analogy with BaseOS
        url = f"{_CURRENT}/{major}-stream/{part}/{arch}/debug/tree"
        yield Source(distro="centos-stream", kind="rpm-md", url=url, signature="if-present")
    version, _, release = kernel.version.partition("-")
    name = "kernel-rt" if ".rt" in release else "kernel"
    # By Koji's convention for its folders.
    url = f"{_KOJI}/{name}/{version}/{release}/{arch}"
    yield Source(distro="centos-stream", kind="directory", url=url, signature="if-present")


DISTRO = Distro(
    name="centos-stream",
    title="CentOS Stream",
    recognise=recognise,
    packages=el_names.packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=el_names.typical("centos-stream"),
    named=rpm_files.named(recognise, el_names.packages),
    keyrings=rpm_sources.keyrings(
        "centos", "centosofficial", "CentOS-Official", "CentOS-Official-SHA256"
    ),
)
