"""Which RPM packages a kernel of SUSE's is in, by name, and which published ones mean it.

`3.0.101-0.15-default` is kernel-default-3.0.101-0.15.N: N counts rebuilds and is in no banner.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import listing, rpm_md
from kernsym.distros.formats.rpm_md import Published
from kernsym.distros.formats.suse_products import RPM_ARCHES

# Until then the whole release of the rpm stands in the name.
FIRST_WITH_COUNTER = (2, 6, 27)
# Between these, kernel-F-base has the image; to the end of SLES 12 it may have it.
_IMAGE_IN_BASE = ((2, 6, 27), (3, 12))
_LAST_BASE = (4, 12)


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The debuginfo, the packages that may have the stripped half in order, and the sources."""
    flavour, numbers = f"kernel-{kernel.flavour}", numbers_of(kernel)
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


def numbers_of(kernel: Kernel) -> tuple[int, ...]:
    """The first three numbers of the kernel's version."""
    return version_numbers(kernel.version.split("-", 1)[0])


def version_numbers(version: str) -> tuple[int, ...]:
    """The first three numbers of a version.

    >>> version_numbers("2.6.16.60")
    (2, 6, 16)
    """
    return tuple(int(word) for word in version.split(".")[:3] if word.isdecimal())


def _has_counter(kernel: Kernel) -> bool:
    return numbers_of(kernel) >= FIRST_WITH_COUNTER


def _package(role: Role, name: str, kernel: Kernel) -> Package:
    """A package; in its id one `*` stands for rebuild number and architecture together."""
    version = f"{kernel.version}.*" if _has_counter(kernel) else kernel.version
    arches = arches_of(kernel)
    arch = arches[0] if len(arches) == 1 else "*"
    suffix = ".*" if version.endswith("*") and arch == "*" else f".{arch}"
    id_ = f"{name}-{version.removesuffix('.*') if suffix == '.*' else version}{suffix}"
    return Package(role=role, id=id_, name=name, version=version, arch=arch)


def arches_of(kernel: Kernel) -> tuple[str, ...]:
    """RPM's words for the kernel's processor; () when it is not known."""
    if kernel.arch is None:
        return ()
    return RPM_ARCHES.get(kernel.arch, (kernel.arch,))


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
    """The packages whose release means this kernel: those of its commit first, then those without
    a counter, then as they come.

    `3.0.101-0.15` is 0.15 or 0.15.N, neither 0.150 nor 0.15.1.1.
    """
    fitting = [one for one in found if _fits(one.ref.package, kernel)]
    fitting.sort(
        key=lambda one: (not _is_of(one, kernel), one.ref.package.version != kernel.version)
    )
    return tuple(one.ref for one in fitting)


def _is_of(found: Published, kernel: Kernel) -> bool:
    """Whether a package says that it was made of the kernel's commit: later ones provide a name
    with it (`kernel-default-srchash-<40 hex>`), earlier ones describe it (`GIT Revision: ...`)."""
    if kernel.commit is None:
        return False
    said = (*found.provides, *found.description.split())
    return any(word.rpartition("-srchash-")[2].startswith(kernel.commit) for word in said)


def _fits(package: Package, kernel: Kernel) -> bool:
    counter = r"(?:\.[0-9]+)?" if _has_counter(kernel) else ""
    version = re.fullmatch(re.escape(kernel.version) + counter, package.version)
    arches = arches_of(kernel)
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
