"""VMware Photon OS: the release says which (`.ph5-esx`), the builder is always root@photon."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Series, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.masked import built_by
from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats import rpm_files, rpm_sources
from kernsym.distros.formats.rpm_names import NUMBERS, debuginfo_layout, match_name, rpm, rpm_arch

_BUILDER = "root@photon"
_UNAME = re.compile(
    rf"(?P<version>{NUMBERS})-(?P<build>{NUMBERS})\.ph(?P<release>[1-9])"
    r"(?:-(?P<flavour>esx|rt|secure|aws))?"
)
_HOSTS = ("https://packages.vmware.com", "https://packages.broadcom.com")


def recognise(evidence: Evidence) -> Claim | None:
    """Certain by the release, unless another machine than `photon` built it."""
    name = match_name(_UNAME, evidence.release)
    builder = evidence.banner.builder if evidence.banner else ""
    words = tuple(word for word in ("-photon", _BUILDER) if word in (evidence.version + builder))
    if name is None:
        if words or re.search(r"\.ph[1-9]\b", evidence.release):
            return _no_name(evidence.release, words)
        return None
    if evidence.banner and builder and not built_by(evidence.banner, _BUILDER):
        reason = f"a local build or a rebuild: it was built by {builder}"
        return Claim(unsupported="a local build", reason=reason, evidence=(builder,))
    kernel = Kernel(
        distro="photon",
        release=name["release"],
        arch=rpm_arch(evidence.arch),
        uname=evidence.release,
        flavour=name["flavour"] or "",
        version=f"{name['version']}-{name['build']}.ph{name['release']}",
    )
    reason = f"{evidence.release} is a name of Photon OS {name['release']}'s"
    return Claim(kernel=kernel, reason=reason, evidence=(f"ph{name['release']}", *words))


def _no_name(release: str, words: tuple[str, ...]) -> Claim:
    """Kernels of Photon's first years do not tell which package they are of."""
    reason = f"{release} does not name a package of Photon OS"
    return Claim(unsupported="a kernel of Photon OS", reason=reason, evidence=words or (release,))


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """One package holds vmlinux, modules and sources."""
    flavour = f"-{kernel.flavour}" if kernel.flavour else ""
    return (rpm(Role.DEBUGINFO, f"linux{flavour}-debuginfo", kernel.version, kernel.arch),)


def typical(series: Series) -> Kernel | None:
    """Of a release by its number (`5`, `5.0`)."""
    number = series.name.removesuffix(".0")
    if not re.fullmatch("[1-9]", number):
        return None
    version = f"6.1.0-1.ph{number}"
    flavour = f"-{series.flavour}" if series.flavour else ""
    return Kernel(
        distro="photon", release=number, arch=series.arch, flavour=series.flavour,
        uname=f"{version}{flavour}", version=version,
    )  # fmt: skip


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """What is given, then the release's debuginfo repository; its second host is not confirmed."""
    return rpm_sources.in_order(kernel, given, list(_built_in(kernel)) if kernel.arch else [])


def _built_in(kernel: Kernel) -> Iterator[Source]:
    number = f"{kernel.release}.0"
    for host in _HOSTS:
        url = f"{host}/photon/{number}/photon_debuginfo_{number}_{kernel.arch}"
        yield Source(distro="photon", kind="rpm-md", url=url, signature="if-present")


def layout(kernel: Kernel) -> Layout:
    """vmlinux has the release in its name; `vmlinux` beside it is a link to it."""
    return debuginfo_layout(kernel.uname, vmlinux=f"vmlinux-{kernel.uname}")


DISTRO = Distro(
    name="photon",
    title="VMware Photon OS",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=rpm_sources.locate,
    layout=layout,
    typical=typical,
    named=rpm_files.named(recognise, packages),
    keyrings=(
        "/etc/pki/rpm-gpg/VMWARE-RPM-GPG-KEY-4096",
        "/etc/pki/rpm-gpg/VMWARE-RPM-GPG-KEY",
    ),
)
