"""SLES and openSUSE: one kernel, built by one service; the rpm's release has one number more.

`3.0.101-0.15-default` is kernel-default-3.0.101-0.15.N.  vmlinux comes in two halves, the stripped
one in the kernel's own package.  Facts: SUSE's kernel-source (rpm/kernel-binary.spec.in).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernsym.distros.core.distro import Claim, Distro, Evidence, Series, Source
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.masked import built_by
from kernsym.distros.formats import suse_repositories
from kernsym.distros.formats.suse_packages import (
    FIRST_WITH_COUNTER,
    arches_of,
    locate,
    locate_all,
    numbers_of,
    packages,
    version_numbers,
)
from kernsym.distros.formats.suse_products import (
    ARCH_OF_FLAVOUR,
    FLAVOURS,
    MACHINES,
    Product,
    is_shared,
    product_of,
)

_LOCAL = "a local build"
_PROJECT = "a kernel of the day, or of a project on the Open Build Service"

_UNAME = re.compile(
    r"(?=.{1,64}\Z)(?P<version>[0-9]+\.[0-9]+\.[0-9]+(?:\.[0-9]+)?(?:\.rt[0-9]+)?)"
    r"-(?P<number>(?:lp[0-9]+\.)?[0-9]+(?:\.[0-9]+)*[a-z]?)"
    r"-(?P<flavour>[a-z0-9]+(?:[-_][a-z0-9]+)*)"
)
# Until then the folder of the sources has the version alone in its name.
_SOURCES_NAMED_BY_RELEASE = (3, 12)
# Every kernel that the Open Build Service made says so, of whatever project it is.
_BUILDER = "geeko@buildhost"
_COMPILER = re.compile(r"SUSE ?Linux|openSUSE", re.IGNORECASE)
_COMMIT = re.compile(r"\((?P<commit>[0-9a-f]{7})\)\s*\Z")
_OF_A_PROJECT = re.compile(r"\.g[0-9a-f]{7,}\b|-rc[0-9]|-git[0-9]")

_FILE = re.compile(
    r"kernel-(?P<flavour>[a-z0-9_]+)(?:-(?:base|extra|optional))?(?:-debuginfo|-debugsource)?"
    r"-(?P<version>[0-9.]+)-(?P<number>(?:lp[0-9]+\.)?[0-9]+(?:\.[0-9]+)*)"
    r"\.(?P<arch>[a-z0-9_]+?)(?:\.rpm)?"
)


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when the build service or the commit in the version shows, and a product has it."""
    banner = evidence.banner
    builder, compiler = (banner.builder, banner.compiler) if banner else ("", "")
    genuine = banner is not None and built_by(banner, _BUILDER)
    commit = _COMMIT.search(evidence.version)
    if builder and not genuine:
        said = _COMPILER.search(compiler)
        reason = f"only its compiler is SUSE's, it was built by {builder}"
        return _unsupported(_LOCAL, reason, builder) if said else None
    proof = (*((builder,) if genuine else ()), *((commit[0],) if commit else ()))
    name = _UNAME.fullmatch(evidence.release)
    if name is None or name["flavour"] not in FLAVOURS:
        return _of_somebody(evidence.release) if proof else None
    edition = f"{name['version']}-{name['number']}"
    product = product_of(edition, name["flavour"])
    kernel = _kernel(evidence, name, product)
    if product is None and not proof:
        return None
    if product is None:
        shared = "SLES and openSUSE both have" if is_shared(edition) else "no product is known by"
        return _undecided(kernel, f"{shared} the number {edition}", proof)
    title = "SLES" if product.distro == "sles" else "openSUSE"
    if not product.debuginfo:
        reason = f"of {title} {product.release} no debuginfo packages are known"
        return Claim(
            reason=f"{evidence.release} is of SUSE, but {reason}", evidence=proof, candidate=kernel
        )
    if not proof:
        return _undecided(kernel, "neither its builder nor its commit is shown", proof)
    reason = f"{' and '.join(proof)} are of SUSE's builds, {edition} of {title} {product.release}"
    return Claim(kernel=kernel, reason=reason.rstrip(), evidence=(evidence.release, *proof))


def _of_somebody(release: str) -> Claim:
    """The claim about a kernel of the build service that is in no product."""
    project = _OF_A_PROJECT.search(release)
    if project:
        reason = f"{release} is {_PROJECT}: {project[0]} is in no product's name"
        return Claim(unsupported=_PROJECT, reason=reason, evidence=(project[0],))
    partner = "a partner's or a private build"
    return _unsupported(partner, f"{release} is not a name that SUSE's products have", release)


def _unsupported(title: str, reason: str, word: str) -> Claim:
    return Claim(unsupported=title, reason=f"{title} with SUSE's tools: {reason}", evidence=(word,))


def _undecided(kernel: Kernel, why: str, proof: tuple[str, ...]) -> Claim:
    reason = f"{kernel.uname} has the form of SUSE's names, but {why}"
    return Claim(reason=reason, evidence=(kernel.uname, *proof), candidate=kernel)


def _kernel(evidence: Evidence, name: re.Match[str], product: Product | None) -> Kernel:
    commit = _COMMIT.search(evidence.version)
    return Kernel(
        distro=product.distro if product else "sles",
        release=product.release if product else "",
        arch=evidence.arch or ARCH_OF_FLAVOUR.get(name["flavour"]),
        uname=evidence.release,
        flavour=name["flavour"],
        version=f"{name['version']}-{name['number']}",
        commit=commit["commit"] if commit else None,
    )


def named(file: str) -> Kernel | None:
    """The kernel of a package `NAME-VERSION-RELEASE.ARCH`, if a product has that number."""
    found = _FILE.fullmatch(file)
    if found is None or found["arch"] in ("src", "nosrc", "noarch"):
        return None
    flavour, number = found["flavour"], found["number"]
    if version_numbers(found["version"]) >= FIRST_WITH_COUNTER:
        number = number.rpartition(".")[0]  # the last one counts rebuilds
    name = _UNAME.fullmatch(f"{found['version']}-{number}-{flavour}")
    product = product_of(f"{found['version']}-{number}", flavour)
    if name is None or product is None or flavour not in FLAVOURS:
        return None
    machine = MACHINES.get(found["arch"], found["arch"])
    fingerprint = Fingerprint(release=name[0])
    evidence = Evidence(
        fingerprint=fingerprint, banner=None, release=name[0], version="", arch=machine
    )
    return _kernel(evidence, name, product)


def typical(series: Series) -> Kernel | None:
    """Of a product as `15-SP5`, of Leap as `15.5`; kernels that both share are called SLES's."""
    release = series.name
    if leap := re.fullmatch(r"15\.([3-9])", release):
        release = f"15-SP{leap[1]}"
    if not re.fullmatch(r"1[0-6](?:-SP[1-9])?|16\.[0-9]|15\.[0-2]|42\.[1-3]|Tumbleweed", release):
        return None
    ours = release == "Tumbleweed" or release.startswith(("15.", "42."))
    flavour = series.flavour or "default"
    return Kernel(
        distro="opensuse" if ours else "sles", release=release, arch=series.arch, flavour=flavour,
        uname=f"6.0.0-1-{flavour}", version="6.0.0-1",
    )  # fmt: skip


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """Where to ask, in order: what is `given`, openSUSE's public mirrors, the servers of SLES."""
    arch = next(iter(arches_of(kernel)), "x86_64")
    ours: list[Source] = []
    for source in given:
        if source.kind == "rmt":
            if kernel.distro == "sles":
                ours += suse_repositories.of_mirror(source, kernel, arch)
        elif source.distro != "*" or source.kind != "apt":
            ours.append(source)
    return (*ours, *suse_repositories.built_in(kernel, arch))


def weakly_signed(kernel: Kernel) -> bool:
    """SLES 10 is signed with DSA and SHA-1; openSUSE of that time, and SLES 11, partly."""
    return kernel.release.split(".")[0].split("-")[0] in ("10", "11")


def layout(kernel: Kernel) -> Layout:
    """Of SLES 10 to 15, and of the later ones, where all is below /usr."""
    uname = re.escape(kernel.uname)
    modules = rf"(?:usr/)?lib/modules/{uname}"
    numbers, version = numbers_of(kernel), kernel.version.split("-", 1)[0]
    line = f"linux-{'.'.join(map(str, numbers[: 3 if numbers[0] == 2 else 2]))}"
    sources = f"usr/src/debug/kernel-{kernel.flavour}-{version}"
    return Layout(
        vmlinux=re.compile(
            rf"usr/lib/debug/(?:boot/vmlinux-{uname}|{modules}/vmlinux)(?:\.debug)?"
        ),
        stripped=re.compile(rf"(?:boot/vmlinux-{uname}|{modules}/vmlinux)(?:\.gz|\.xz|\.zst)?"),
        modules=re.compile(
            rf"usr/lib/debug/{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?"
            r"(?:\.xz|\.zst|\.gz)?"
        ),
        system_map=re.compile(rf"boot/System\.map-{uname}|{modules}/System\.map"),
        source_files=re.compile(rf"{re.escape(sources)}[^/]*/{re.escape(line)}/.+"),
        # Later the folder has the whole release in its name, with the rebuild number.
        source_root=f"{sources}/{line}" if numbers < _SOURCES_NAMED_BY_RELEASE else None,
    )


DISTRO = Distro(
    name="sles",
    also=("opensuse",),
    title="SUSE",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=locate,
    locate_all=locate_all,
    layout=layout,
    weakly_signed=weakly_signed,
    named=named,
    typical=typical,
    keyrings=suse_repositories.KEYRINGS,
    fingerprints=suse_repositories.FINGERPRINTS,
)
