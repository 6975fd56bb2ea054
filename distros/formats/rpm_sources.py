"""The places of RPM distributions: in which order they are asked, and each kind of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.package import Package, PackageRef
from kernsym.distros.formats import rpm_md
from kernsym.distros.formats.listing import find_name

# Where a machine of the distribution has its keys, and where the package of all their keys, which
# Fedora has, puts them.
_KEYS = "/etc/pki/rpm-gpg"
_ALL_KEYS = "/usr/share/distribution-gpg-keys"
_KINDS = ("rpm-md", "directory")
_MIRROR_LIST = "/mirror.list"


def keyrings(folder: str, *names: str) -> tuple[str, ...]:
    """The paths that keys of a distribution may have; `names` without `RPM-GPG-KEY-`.

    >>> keyrings("rocky", "Rocky-9")[1]
    '/usr/share/distribution-gpg-keys/rocky/RPM-GPG-KEY-Rocky-9'
    """
    places = (_KEYS, f"{_ALL_KEYS}/{folder}")
    return tuple(f"{place}/RPM-GPG-KEY-{name}" for place in places for name in names)


def in_order(
    kernel: Kernel, given: Sequence[Source], built_in: Iterable[Source]
) -> tuple[Source, ...]:
    """What the configuration and the machine name for the kernel's distribution, then our own."""
    ours = [s for s in given if s.kind in _KINDS and s.distro in (kernel.distro, "*")]
    named = {source.url.rstrip("/") for source in ours}
    others = [source for source in built_in if source.url.rstrip("/") not in named]
    return tuple(dict.fromkeys((*ours, *others)))


def with_repositories(
    kernel: Kernel, given: Sequence[Source], urls: Iterable[str]
) -> tuple[Source, ...]:
    """As `in_order`, our own being rpm-md repositories at these addresses."""
    return in_order(
        kernel,
        given,
        (
            Source(distro=kernel.distro, kind="rpm-md", url=url, signature="if-present")
            for url in urls
        ),
    )


def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
    """The package at one source; None when it is not there.  See `rpm_md.locate` for errors.

    A `rpm-md` source may be a mirror list (`.../mirror.list`): a page whose first line is the
    repository, as Amazon has them.  A `directory` states no digest.
    """
    if source.kind == "directory":
        return _in_folder(package, source, fetch)
    if source.kind != "rpm-md":
        return None
    repository = repository_of(source, kernel.arch or package.arch, fetch)
    return rpm_md.locate(package, kernel, repository, fetch) if repository else None


def repository_of(source: Source, arch: str, fetch: Fetch) -> Source | None:
    """The repository itself of an `rpm-md` source; None when its mirror list has none."""
    if not source.url.endswith(_MIRROR_LIST):
        return source
    page = fetch.page(source.url)
    lines = page.body.decode("utf-8", "replace").split() if page else []
    return replace(source, url=lines[0].replace("$basearch", arch)) if lines else None


def _in_folder(package: Package, source: Source, fetch: Fetch) -> PackageRef | None:
    base = source.url.rstrip("/")
    page = fetch.page(f"{base}/")
    name = find_name(page.body, f"{package.id}.rpm") if page else None
    if name is None:
        return None
    found = name.removesuffix(".rpm")
    return PackageRef(
        package=replace(package, id=found, arch=found.rsplit(".", 1)[-1]),
        url=f"{base}/{name}",
        origin=source.place,
        why=f"the folder {source.place} holds {name}, without a digest ({source.origin})",
    )
