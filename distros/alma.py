"""AlmaLinux 8 to 10: told by hosts at almalinux.org, in its first year by CloudLinux's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources

_CURRENT = "https://repo.almalinux.org/almalinux"
_VAULT = "https://vault.almalinux.org"
_KITTEN = "https://kitten.repo.almalinux.org"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when AlmaLinux's build system built it; see `el_family`."""
    return el_family.claim(evidence, "alma")


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the current release, then the vault of the kernel's minor release."""
    urls = _urls(kernel) if kernel.arch else ()
    return rpm_sources.with_repositories(kernel, given, urls)


def _urls(kernel: Kernel) -> Iterator[str]:
    name = el_names.parse(kernel.uname)
    # RT and NFV by analogy with BaseOS.
    parts = ("RT", "NFV", "BaseOS") if "rt" in kernel.flavour.split("-") else ("BaseOS",)
    if name and name.between and kernel.release == "10":  # AlmaLinux Kitten; not confirmed
        yield f"{_KITTEN}/10-kitten/BaseOS/debug/{kernel.arch}"
        return
    for part in parts:
        yield f"{_CURRENT}/{kernel.release}/{part}/debug/{kernel.arch}"
    if name and name.minor is not None:
        for part in parts:
            yield f"{_VAULT}/{kernel.release}.{name.minor}/{part}/debug/{kernel.arch}"


DISTRO = Distro(
    name="alma",
    title="AlmaLinux",
    recognise=recognise,
    packages=el_names.packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=el_names.typical("alma"),
    named=rpm_files.named(recognise, el_names.packages),
    keyrings=rpm_sources.keyrings(
        "alma", "AlmaLinux-10", "AlmaLinux-9", "AlmaLinux-8", "AlmaLinux"
    ),
)
