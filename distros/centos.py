"""CentOS Linux 3 to 8, with centosplus, AltArch and the SIGs: told by hosts at centos.org."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources
from kernsym.distros.formats.rpm_names import basearch

# Whether these hosts still answer is not known; they are asked in this order.
_DEBUGINFO = "http://debuginfo.centos.org"
_MIRROR = "http://mirror.facebook.net/centos-debuginfo"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when CentOS's build system built it; see `el_family`."""
    return el_family.claim(evidence, "centos")


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the flat repository that holds every minor release of the major."""
    urls = _urls(kernel) if kernel.arch else ()
    return rpm_sources.with_repositories(kernel, given, urls)


def _urls(kernel: Kernel) -> Iterator[str]:
    arch = basearch(kernel.arch)
    if kernel.release in ("5", "6", "7", "8"):  # 5 is not confirmed
        yield f"{_DEBUGINFO}/{kernel.release}/{arch}"
    if kernel.release == "7":
        yield f"{_MIRROR}/7/{arch}"


DISTRO = Distro(
    name="centos",
    title="CentOS Linux",
    recognise=recognise,
    packages=el_names.packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=el_names.typical("centos"),
    named=rpm_files.named(recognise, el_names.packages),
    crash_again=el_names.crash_again,
    weakly_signed=el_names.weakly_signed,
    # The debuginfo repositories of 6 and 7 are signed with keys of their own.
    keyrings=rpm_sources.keyrings(
        "centos", *(f"CentOS-{name}" for name in ("Debug-6", "Debug-7", "6", "7", "Official"))
    ),
)
