"""SLES and openSUSE: one kernel, built by one service; the rpm's release has one number more.

`3.0.101-0.15-default` is kernel-default-3.0.101-0.15.N.  vmlinux comes in two halves, the stripped
one in the kernel's own package.  Facts: SUSE's kernel-source (rpm/kernel-binary.spec.in).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from kernsym.distros.core.distro import Claim, Distro, Evidence, Fetch, Source
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import listing, rpm_md, suse_repositories
from kernsym.distros.formats.rpm_md import Published
from kernsym.distros.formats.suse_products import (
    ARCH_OF_FLAVOUR,
    FLAVOURS,
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
# Every kernel that the Open Build Service made says so, of whatever project it is.
_BUILDER = re.compile(r"geeko(?:@|_at_| at | ?[\[(]at[\])] ?)buildhost")
_COMPILER = re.compile(r"SUSE ?Linux|openSUSE", re.IGNORECASE)
_COMMIT = re.compile(r"\((?P<commit>[0-9a-f]{7})\)\s*\Z")
_OF_A_PROJECT = re.compile(r"\.g[0-9a-f]{7,}\b|-rc[0-9]|-git[0-9]")

_FILE = re.compile(
    r"kernel-(?P<flavour>[a-z0-9_]+)(?:-(?:base|extra|optional))?(?:-debuginfo|-debugsource)?"
    r"-(?P<version>[0-9.]+)-(?P<number>(?:lp[0-9]+\.)?[0-9]+(?:\.[0-9]+)*)"
    r"\.(?P<arch>[a-z0-9_]+?)(?:\.rpm)?"
)

# Until then the whole release of the rpm stands in the name.
_FIRST_WITH_COUNTER = (2, 6, 27)
# Between these, kernel-F-base has the image; to the end of SLES 12 it may have it.
_IMAGE_IN_BASE = ((2, 6, 27), (3, 12))
_LAST_BASE = (4, 12)
# What RPM calls the processors; of two words for one, the index tells.
_RPM_ARCHES = {
    "i386": ("i586", "i686"), "i586": ("i586", "i686"), "i686": ("i586", "i686"),
    "ppc64": ("ppc64", "ppc"), "armv7l": ("armv7hl",), "armv6l": ("armv6hl",),
}  # fmt: skip
_MACHINES = {word: machine for machine, words in _RPM_ARCHES.items() for word in words}


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when the build service or the commit in the version shows, and a product has it."""
    banner = evidence.banner
    builder, compiler = (banner.builder, banner.compiler) if banner else ("", "")
    genuine = _BUILDER.fullmatch(builder)
    commit = _COMMIT.search(evidence.version)
    if builder and not genuine:
        said = _COMPILER.search(compiler)
        reason = f"only its compiler is SUSE's, it was built by {builder}"
        return _unsupported(_LOCAL, reason, builder) if said else None
    proof = tuple(found[0] for found in (genuine, commit) if found)
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
    return Kernel(
        distro=product.distro if product else "sles",
        release=product.release if product else "",
        arch=evidence.arch or ARCH_OF_FLAVOUR.get(name["flavour"]),
        uname=evidence.release,
        flavour=name["flavour"],
        version=f"{name['version']}-{name['number']}",
    )


def named(file: str) -> Kernel | None:
    """The kernel of a package `NAME-VERSION-RELEASE.ARCH`, if a product has that number."""
    found = _FILE.fullmatch(file)
    if found is None or found["arch"] in ("src", "nosrc", "noarch"):
        return None
    flavour, number = found["flavour"], found["number"]
    if _version_numbers(found["version"]) >= _FIRST_WITH_COUNTER:
        number = number.rpartition(".")[0]  # the last one counts rebuilds
    name = _UNAME.fullmatch(f"{found['version']}-{number}-{flavour}")
    product = product_of(f"{found['version']}-{number}", flavour)
    if name is None or product is None or flavour not in FLAVOURS:
        return None
    machine = _MACHINES.get(found["arch"], found["arch"])
    fingerprint = Fingerprint(release=name[0])
    evidence = Evidence(
        fingerprint=fingerprint, banner=None, release=name[0], version="", arch=machine
    )
    return _kernel(evidence, name, product)


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The debuginfo, the packages that may have the stripped half in order, and the sources."""
    flavour, numbers = f"kernel-{kernel.flavour}", _numbers(kernel)
    bases: tuple[str, ...] = (flavour,)
    if _IMAGE_IN_BASE[0] <= numbers < _IMAGE_IN_BASE[1]:
        bases = (f"{flavour}-base", flavour)
    elif _IMAGE_IN_BASE[1] <= numbers[:2] <= _LAST_BASE:
        bases = (flavour, f"{flavour}-base")
    named = [_package(Role.DEBUGINFO, f"{flavour}-debuginfo", kernel)]
    named += [_package(Role.KERNEL, base, kernel) for base in bases]
    if _has_counter(kernel):
        named.append(_package(Role.SOURCE, f"{flavour}-debugsource", kernel))
    return tuple(named)


def _numbers(kernel: Kernel) -> tuple[int, ...]:
    return _version_numbers(kernel.version.split("-", 1)[0])


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(word) for word in version.split(".")[:3] if word.isdecimal())


def _has_counter(kernel: Kernel) -> bool:
    return _numbers(kernel) >= _FIRST_WITH_COUNTER


def _package(role: Role, name: str, kernel: Kernel) -> Package:
    """A package; in its id one `*` stands for rebuild number and architecture together."""
    version = f"{kernel.version}.*" if _has_counter(kernel) else kernel.version
    arches = _arches(kernel)
    arch = arches[0] if len(arches) == 1 else "*"
    suffix = ".*" if version.endswith("*") and arch == "*" else f".{arch}"
    id_ = f"{name}-{version.removesuffix('.*') if suffix == '.*' else version}{suffix}"
    return Package(role=role, id=id_, name=name, version=version, arch=arch)


def _arches(kernel: Kernel) -> tuple[str, ...]:
    """RPM's words for the kernel's processor; () when it is not known."""
    if kernel.arch is None:
        return ()
    return _RPM_ARCHES.get(kernel.arch, (kernel.arch,))


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """Where to ask, in order: what is `given`, openSUSE's public mirrors, the servers of SLES."""
    arches = _arches(kernel)
    ours = (source for source in given if source.distro != "*" or source.kind != "apt")
    return (*ours, *suse_repositories.built_in(kernel, arches[0] if arches else "x86_64"))


def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
    """The best package at one source, or None; `locate_all` has the others."""
    return next(iter(locate_all(package, kernel, source, fetch)), None)


def locate_all(
    package: Package, kernel: Kernel, source: Source, fetch: Fetch
) -> tuple[PackageRef, ...]:
    """Every build that bears the kernel's name, best first.

    Two rebuilds can differ in the binary: which one it was, only the banner in its vmlinux says.
    Errors as of `rpm_md.locate`.
    """
    if source.kind == "rpm-md":
        wide = replace(package, version=f"{kernel.version}*", arch="*")
        return ordered(rpm_md.published(wide, source, fetch), kernel)
    if source.kind == "directory":
        return tuple(_in_folder(package, kernel, source, fetch))
    return ()


def ordered(found: Iterable[Published], kernel: Kernel) -> tuple[PackageRef, ...]:
    """The packages whose release means this kernel: without a counter first, then as they come.

    `3.0.101-0.15` is 0.15 or 0.15.N, neither 0.150 nor 0.15.1.1.
    """
    fitting = [one.ref for one in found if _fits(one.ref.package, kernel)]
    return tuple(sorted(fitting, key=lambda ref: ref.package.version != kernel.version))


def _fits(package: Package, kernel: Kernel) -> bool:
    counter = r"(?:\.[0-9]+)?" if _has_counter(kernel) else ""
    version = re.fullmatch(re.escape(kernel.version) + counter, package.version)
    arches = _arches(kernel)
    return version is not None and (not arches or package.arch in arches)


def _in_folder(
    package: Package, kernel: Kernel, source: Source, fetch: Fetch
) -> Iterator[PackageRef]:
    base = source.url.rstrip("/")
    page = fetch.page(f"{base}/")
    for name in listing.names_in(page.body) if page else ():
        stem, _, arch = name.removesuffix(".rpm").rpartition(".")
        if not name.endswith(".rpm") or not stem.startswith(f"{package.name}-"):
            continue
        version = stem.removeprefix(f"{package.name}-")
        named = replace(package, id=f"{stem}.{arch}", version=version, arch=arch)
        if _fits(named, kernel):
            yield PackageRef(
                package=named,
                url=f"{base}/{name}",
                origin=source.place,
                why=f"the folder {source.place} holds {name}, without a digest ({source.origin})",
            )


def weakly_signed(kernel: Kernel) -> bool:
    """SLES 10 is signed with DSA and SHA-1; openSUSE of that time, and SLES 11, partly."""
    return kernel.release.split(".")[0].split("-")[0] in ("10", "11")


def layout(kernel: Kernel) -> Layout:
    """Of SLES 10 to 15, and of the later ones, where all is below /usr."""
    uname = re.escape(kernel.uname)
    modules = rf"(?:usr/)?lib/modules/{uname}"
    numbers, version = _numbers(kernel), kernel.version.split("-", 1)[0]
    line = f"linux-{'.'.join(map(str, numbers[: 3 if numbers[0] == 2 else 2]))}"
    sources = f"usr/src/debug/kernel-{kernel.flavour}-{version}"
    return Layout(
        vmlinux=re.compile(
            rf"usr/lib/debug/(?:boot/vmlinux-{uname}|{modules}/vmlinux)(?:\.debug)?"
        ),
        stripped=re.compile(rf"(?:boot/vmlinux-{uname}|{modules}/vmlinux)(?:\.gz|\.xz)?"),
        modules=re.compile(
            rf"usr/lib/debug/{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?"
            r"(?:\.xz|\.zst|\.gz)?"
        ),
        system_map=re.compile(rf"boot/System\.map-{uname}|{modules}/System\.map"),
        source_files=re.compile(rf"{re.escape(sources)}[^/]*/{re.escape(line)}/.+"),
        # Later the folder has the whole release in its name, with the rebuild number.
        source_root=f"{sources}/{line}" if numbers < _IMAGE_IN_BASE[1] else None,
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
    keyrings=suse_repositories.KEYRINGS,
)
