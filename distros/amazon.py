"""Amazon Linux 1, 2 and 2023: the release says which (`.amzn2.`), mockbuild built it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Series, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats import rpm_files, rpm_sources
from kernsym.distros.formats.el_builders import Builder, builder_of
from kernsym.distros.formats.rpm_names import ARCH, NUMBERS, debuginfo_layout, match_name, rpm

_UNAME = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>{NUMBERS})"
    rf"\.amzn(?P<release>1|2|2023)\.(?P<arch>{ARCH})(?:[.+](?P<variant>debug))?"
)
# Builders: ip-10-0-1-12, gobi-build-31005, koji-pdx-corp-builder-60003.
_HOST = re.compile(r"ip-[0-9]+-[0-9]+-[0-9]+-[0-9]+|(?:gobi|koji)[a-z-]*-(?:build|builder)-[0-9]+")
_HOST_CUT = re.compile(r"(?:ip-|gobi|koji)[a-z0-9-]*")
# The kernel that 2023 came with; each later one has a package name of its own.
_FIRST_OF_2023 = "6.1"

_AL2 = "http://amazonlinux.us-east-1.amazonaws.com/2"
_AL2023 = "https://cdn.amazonlinux.com/al2023/core/mirrors"


def recognise(evidence: Evidence) -> Claim | None:
    """Certain by the release, unless somebody else built it."""
    name = match_name(_UNAME, evidence.release)
    if name is None:
        if ".amzn" not in evidence.release:
            return None
        return _local(f"{evidence.release} is not a name that Amazon gives", evidence.release)
    builder = builder_of(evidence.banner)
    if builder and not (builder.trusted and _is_host(builder)):
        return _local(f"it was built by {builder.text}", builder.text)
    kernel = Kernel(
        distro="amazon",
        release=name["release"],
        arch=name["arch"],
        uname=evidence.release,
        flavour=name["variant"] or "",
        version=f"{name['version']}-{name['build']}.amzn{name['release']}",
    )
    proof = (f"amzn{name['release']}", *((builder.text,) if builder else ()))
    reason = f"{evidence.release} is a name of Amazon Linux {name['release']}'s"
    return Claim(kernel=kernel, reason=reason, evidence=proof)


def _is_host(builder: Builder) -> bool:
    pattern = _HOST_CUT if builder.cut else _HOST
    return builder.hidden or pattern.fullmatch(builder.host) is not None


def _local(reason: str, word: str) -> Claim:
    return Claim(
        unsupported="a local build",
        reason=f"a local build or a rebuild: {reason}",
        evidence=(word,),
    )


def _line(kernel: Kernel) -> str:
    return ".".join(kernel.version.split(".")[:2])


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """As of Red Hat's family; in 2023 later kernels are `kernel6.12-…` (6.18 by analogy)."""
    later = kernel.release == "2023" and _line(kernel) != _FIRST_OF_2023
    stem = f"kernel{_line(kernel)}" if later else "kernel"
    variant = f"-{kernel.flavour}" if kernel.flavour else ""
    return (
        rpm(Role.DEBUGINFO, f"{stem}{variant}-debuginfo", kernel.version, kernel.arch),
        rpm(
            Role.DEBUGINFO_COMMON,
            f"{stem}-debuginfo-common-{kernel.arch}",
            kernel.version,
            kernel.arch,
        ),
    )


def typical(series: Series) -> Kernel | None:
    """Of 2 and 2023; a line beside the first has a repository of its own, or package names."""
    if series.name not in ("2", "2023"):
        return None
    line = series.line or ("4.14" if series.name == "2" else _FIRST_OF_2023)
    version = f"{line}.0-1.amzn{series.name}"
    return Kernel(
        distro="amazon", release=series.name, arch=series.arch, flavour=series.flavour,
        uname=f"{version}.{series.arch}", version=version,
    )  # fmt: skip


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then Amazon's mirror lists; they name folders that change with each release.

    Of 1 no list of the debuginfo repositories is known.  The list `latest` of 2023 may lack older
    kernels: a list of each of its releases exists, to be configured by who needs one.
    """
    urls = [f"{url}/mirror.list" for url in _lists(kernel)]
    return rpm_sources.with_repositories(kernel, given, urls)


def _lists(kernel: Kernel) -> Iterator[str]:
    if kernel.release == "2":
        yield f"{_AL2}/core/latest/debuginfo/{kernel.arch}"
        if _line(kernel) != "4.14":
            yield f"{_AL2}/extras/kernel-{_line(kernel)}/latest/debuginfo/{kernel.arch}"
    elif kernel.release == "2023":
        yield f"{_AL2023}/latest/debuginfo/{kernel.arch}"


def layout(kernel: Kernel) -> Layout:
    """As of Red Hat's family."""
    return debuginfo_layout(kernel.uname)


DISTRO = Distro(
    name="amazon",
    title="Amazon Linux",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=layout,
    typical=typical,
    named=rpm_files.named(recognise, packages),
    keyrings=rpm_sources.keyrings(
        "amazon-linux", "amazon-linux-2023", "amazon-linux-2", "amazon-ga"
    ),
)
