"""Finds one package in an apt repository: signed Release, then the Packages list it names.

Valid-Until is not looked at: an exact version is asked for, so the worst an old index can do is
not to list it, and the suites of an archive have all expired.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import replace

from kernsym.distros.core.distro import Fetch, Page, Source
from kernsym.distros.core.errors import CouldNotFindOut
from kernsym.distros.core.package import Package, PackageRef
from kernsym.distros.formats.apt import (
    FormatError,
    Release,
    Stanza,
    find_stanza,
    find_stanzas,
    parse_release,
)

_SUFFIXES = (".xz", ".gz", ".bz2", "")


def mirrors(
    given: Iterable[Source],
    *,
    distro: str,
    ours: Container[str],
    usual: Sequence[str],
    security: Sequence[str],
    keyring: str,
) -> Iterator[Source]:
    """The given sources, and their mirrors with more suites that may hold a kernel.

    Configured ones come as they stand; an apt one without a suite stands for all the suites.  The
    machine's (their `distro` is "*", and becomes `distro`) follow when their series is one of
    `ours`: the suites that may hold the kernel (`security`, then `usual`), the same mirrors with
    those suites, for which the distribution's `keyring` is good too, and the other suites last.
    """
    likely = (*security, *usual)
    machine = []
    for source in given:
        if source.distro == "*" and source.kind == "apt":
            if re.split("[-/]", source.suite)[0] in ours:
                machine.append(replace(source, distro=distro))
        elif source.kind == "apt" and not source.suite:
            yield from (replace(source, suite=suite) for suite in likely)
        else:
            yield source
    named = [source for source in machine if source.suite in likely]
    yield from sorted(named, key=lambda source: likely.index(source.suite))
    for source in machine:
        signed_by = dict.fromkeys((*source.signed_by, keyring)) if source.signed_by else ()
        of_security = source.suite.endswith(("-security", "/updates"))
        for suite in security if of_security else usual:
            yield replace(source, suite=suite, signed_by=tuple(signed_by))
    yield from machine


def unique(sources: Iterable[Source]) -> tuple[Source, ...]:
    """The sources without those that were named before."""
    first: dict[tuple[str, ...], Source] = {}
    for source in sources:
        key = (source.kind, source.url.rstrip("/"), source.suite, source.component)
        first.setdefault(key, source)
    return tuple(first.values())


def locate(package: Package, source: Source, fetch: Fetch, *, port: str) -> PackageRef | None:
    """The package at this source; None when the suite does not exist there or does not list it.

    `port`: the Debian architecture whose list is read (packages of architecture `all` are in
    each); "*" reads them all.  Raises `Refused` (signature, digest) and `CouldNotFindOut`
    (`index-unreadable`, `index-incomplete`, or what `fetch` raises).
    """
    for page, path, listing in read_lists(
        source, fetch, lambda release: _lists(release, source, port)
    ):
        with readable(source):
            stanza = _find(package, path, listing)
        if stanza is not None:
            return reference(package, stanza, source, page)
    return None


def every(
    source: Source, fetch: Fetch, *, port: str, beginning: str
) -> Iterator[tuple[Stanza, Page]]:
    """The packages of a suite whose names begin so, each with the suite's Release; as `locate`."""
    for page, path, listing in read_lists(
        source, fetch, lambda release: _lists(release, source, port)
    ):
        with readable(source):
            for stanza in find_stanzas(listing, path.rsplit("/", 1)[-1], beginning=beginning):
                yield stanza, page


def read_lists(
    source: Source, fetch: Fetch, choose: Callable[[Release], Iterable[str]]
) -> Iterator[tuple[Page, str, bytes]]:
    """The lists of a suite that `choose` names, one after the other: the suite's Release, the
    list's path and its packed content; nothing when the suite does not exist.  Raises as `locate`.
    """
    folder = _suite_folder(source)
    page = fetch.signed(f"{folder}/InRelease", source) or fetch.signed(
        f"{folder}/Release", source, detached=f"{folder}/Release.gpg"
    )
    if page is None:
        return
    with readable(source):
        release = parse_release(page.body)
    for path in choose(release):
        yield page, path, _fetch_list(folder, path, release, fetch)


@contextlib.contextmanager
def readable(source: Source) -> Iterator[None]:
    """Turns `FormatError` into `CouldNotFindOut` (`index-unreadable`)."""
    try:
        yield
    except FormatError as error:
        raise CouldNotFindOut(
            "index-unreadable", f"the index of {source.place} cannot be read: {error}"
        ) from error


def _suite_folder(source: Source) -> str:
    """Where the suite's Release lies; a suite that ends with a slash is a flat repository."""
    base = source.url.rstrip("/")
    if source.suite.endswith("/"):
        return f"{base}/{source.suite.strip('./')}".rstrip("/")
    return f"{base}/dists/{source.suite}"


def _lists(release: Release, source: Source, port: str) -> Iterator[str]:
    """The Packages lists to read, each in the best compression that there is."""
    if source.suite.endswith("/"):
        folders = [""]
    else:
        ports = release.architectures if port == "*" else (port,)
        folders = [f"{source.component}/binary-{one}/" for one in ports]
    for folder in folders:
        yield from packed_as(f"{folder}Packages", release)


def packed_as(path: str, release: Release) -> Iterator[str]:
    """A list in the best compression that there is, if there is one."""
    found = next((path + suffix for suffix in _SUFFIXES if path + suffix in release.files), None)
    if found is not None:
        yield found


def _fetch_list(folder: str, path: str, release: Release, fetch: Fetch) -> bytes:
    digest, _ = release.files[path]
    page = None
    if release.by_hash:
        parent = f"{folder}/{path}".rsplit("/", 1)[0]
        page = fetch.page(f"{parent}/by-hash/SHA256/{digest}", sha256=digest)
    page = page or fetch.page(f"{folder}/{path}", sha256=digest)
    if page is None:
        raise CouldNotFindOut(
            "index-incomplete",
            f"{folder} names the list {path} but does not have it",
            hint="the mirror may be in the middle of an update: try again later",
        )
    return page.body


def _find(package: Package, path: str, listing: bytes) -> Stanza | None:
    return find_stanza(
        listing,
        path.rsplit("/", 1)[-1],
        package=package.name,
        version=package.version,
        architecture=package.arch,
    )


def reference(package: Package, stanza: Stanza, source: Source, page: Page) -> PackageRef:
    """The package as a list has it; `page` is the Release that the list is named in."""
    if package.arch == "*":
        name = package.id.replace("_*.", f"_{stanza.architecture}.")
        package = replace(package, arch=stanza.architecture, id=name)
    return PackageRef(
        package=package,
        url=address_of(stanza.path, source),
        origin=source.place,
        why=f"{source.place} lists {package.name} {package.version} ({source.origin})",
        size=stanza.size,
        sha256=stanza.sha256,
        sha1=stanza.sha1,
        signed_by=page.signed_by if stanza.sha256 else None,
    )


def address_of(path: str, source: Source) -> str:
    """Where a file lies that an index of the source names by its path."""
    path = path.removeprefix("./")
    if source.url.startswith("http"):
        path = path.replace("+", "%2B")  # stores of the S3 kind read a bare + as a blank
    folder = _suite_folder(source) if source.suite.endswith("/") else source.url.rstrip("/")
    return f"{folder}/{path}"
