"""Rocky Linux 8 to 10: told by hosts at rockylinux.org; its own rebuilds end with `.0.N`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_family, el_names, rpm_files, rpm_sources

_PUB = "https://dl.rockylinux.org/pub/rocky"
_VAULT = "https://dl.rockylinux.org/vault/rocky"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when Rocky's build system built it; see `el_family`."""
    return el_family.claim(evidence, "rocky")


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the current release, then the vault of the kernel's minor release."""
    urls = _urls(kernel) if kernel.arch else ()
    return rpm_sources.with_repositories(kernel, given, urls)


def _urls(kernel: Kernel) -> Iterator[str]:
    name = el_names.parse(kernel.uname)
    # RT and NFV by analogy with BaseOS.
    parts = ("RT", "NFV", "BaseOS") if "rt" in kernel.flavour.split("-") else ("BaseOS",)
    for part in parts:
        yield f"{_PUB}/{kernel.release}/{part}/{kernel.arch}/debug/tree"
    if name and name.minor is not None:
        for part in parts:
            yield f"{_VAULT}/{kernel.release}.{name.minor}/{part}/{kernel.arch}/debug/tree"


DISTRO = Distro(
    name="rocky",
    title="Rocky Linux",
    recognise=recognise,
    packages=el_names.packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=el_names.layout,
    typical=el_names.typical("rocky"),
    named=rpm_files.named(recognise, el_names.packages),
    keyrings=rpm_sources.keyrings("rocky", "Rocky-10", "Rocky-9", "Rocky-8", "rockyofficial"),
)
