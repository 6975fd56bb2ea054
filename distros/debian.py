"""Debian: the banner names the package's exact version; `-dbg` packages lie in the archive's main.

Facts: Debian's linux source package (names, flavours, changelogs), wiki.debian.org/DebianReleases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernsym.distros.core.banner import Banner
from kernsym.distros.core.distro import Claim, Distro, Evidence, Fetch, Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.masked import built_by
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import apt_archive, deb_images, deb_series, listing, snapshot
from kernsym.distros.formats.deb_ports import port_of_flavour
from kernsym.distros.formats.debian_releases import ALIASES, CODENAMES, LINES

_BUILDER = "debian-kernel@lists.debian.org"
_LOCAL = "a local build"

_FIRST_WITH_DEBUG = (2, 6, 27)  # lenny's 2.6.26 has no -dbg packages, squeeze's 2.6.32 has them
_NEWEST_ARCHIVED = 10  # releases up to here are on archive.debian.org alone

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_RETIRED_KEYRING = "/usr/share/keyrings/debian-archive-removed-keys.gpg"
_SNAPSHOT = "https://snapshot.debian.org"

_LINE = r"(?P<line>2\.6\.[0-9]+|[0-9]+\.[0-9]+)"
_UNAME = re.compile(
    _LINE
    + r"""(?:\.[0-9]+)*(?:-rc[0-9]+)?
    (?:-(?:trunk|[0-9]+|(?:[0-9]+\.)?(?:bpo|deb[0-9]+)\.[0-9]+)
      |\+(?:bpo|deb(?P<series>[0-9]+))(?:\+[0-9]+)?)?
    -(?P<flavour>[a-z0-9]+(?:-[a-z0-9]+)*)""",
    re.VERBOSE,
)
_VERSION = re.compile(
    _LINE
    + r"""(?:\.[0-9]+)*(?:\.dfsg\.[0-9]+)?(?:-ckt[0-9]+)?(?:~rc[0-9]+)?-[0-9]+(?:\.[0-9]+)*
    (?:[+~]deb(?P<update>[0-9]+)u[0-9]+
      |~?bpo\.?(?P<backport>[0-9]+)(?:\+[0-9]+)?
      |(?P<experimental>~exp(?:erimental\.)?[0-9]+)
      |~?(?P<codename>etch|lenny|squeeze|wheezy)(?:nhalf\.[0-9]+|[0-9]+))*""",
    re.VERBOSE,
)
_SAYS_DEBIAN = re.compile(r"\bDebian (?P<version>\S+)")
_CUT = re.compile(r"[0-9.+~-]*(?:\.\.\.|[>…])?")
# utsname.version before a distribution's words: nothing that could contradict them yet.
_BARE = re.compile(r"(?:#[0-9]*)?[\sA-Z_]*(?:D[a-z]*\s*)?(?:\.\.\.|[>…])?")
_LONGEST_UTSNAME = 64
_LAST_WITHOUT_DATE = (3, 10)  # later ones have a date behind the version

_NEIGHBOURS = (
    (re.compile(r"kali", re.I), "Kali"),
    (re.compile(r"-pve\b|\bPVE\b"), "Proxmox VE"),
    (re.compile(r"\+rp[ti]|-rpi[0-9]*-|-v[678]l?\+|raspberrypi|raspbian", re.I), "Raspberry Pi OS"),
    (re.compile(r"apertis", re.I), "Apertis"),
    (re.compile(r"\buos\b|deepin", re.I), "UOS or deepin"),
    (re.compile(r"liquorix", re.I), "Liquorix"),
    (re.compile(r"[0-9]mx\b|~mx[0-9]|antix", re.I), "MX Linux or antiX"),
)


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when the words `Debian <version>`, the release and the builder are all Debian's."""
    banner = evidence.banner
    fields = (banner.mark, banner.builder, banner.compiler) if banner else ("", "", "")
    words = " ".join((evidence.release, *fields, evidence.version))
    for pattern, title in _NEIGHBOURS:
        mark = pattern.search(words)
        if mark:
            reason = f"{evidence.release} is a kernel of {title}, which Debian does not publish"
            return Claim(unsupported=title, reason=reason, evidence=(mark[0],))
    if "Ubuntu" in words or len(evidence.release) > _LONGEST_UTSNAME:
        return None
    said = _SAYS_DEBIAN.search(fields[0]) or _SAYS_DEBIAN.search(evidence.version)
    if said is None:
        return _without_version(evidence, *fields[1:])
    version = _VERSION.fullmatch(said["version"])
    if said.end() == len(said.string) and _may_be_cut(said["version"], version):
        reason = f"the version of {evidence.release} may be cut off: {said[0]}"
        return Claim(reason=reason, evidence=(said[0],))
    if version is None or len(version[0]) > _LONGEST_UTSNAME:
        return _local(f"{said['version']} is not a version that Debian gives", said["version"])
    return _with_version(evidence, version, said[0])


def _may_be_cut(word: str, version: re.Match[str] | None) -> bool:
    """Whether a last word is the beginning of a version, or one that should have a date behind."""
    if version is None:
        return _CUT.fullmatch(word) is not None
    return _numbers(version["line"]) > _LAST_WITHOUT_DATE


def _with_version(evidence: Evidence, version: re.Match[str], said: str) -> Claim:
    """The verdict on evidence that says `Debian <version>` in Debian's own form."""
    name = _UNAME.fullmatch(evidence.release)
    port = port_of_flavour(name["flavour"]) if name else None
    if name is None or port is None:
        return _local(f"{evidence.release} is not a name that Debian gives", evidence.release)
    if name["line"] != version["line"]:
        return _local(f"{evidence.release} and {said} contradict each other", said)
    banner = evidence.banner
    if banner and banner.builder and not _is_genuine(banner):
        return _local(f"it was built by {banner.builder}, not by Debian", banner.builder)
    if banner and banner.complete and "Debian" not in banner.compiler:
        return _local("it was not built with Debian's compiler", banner.compiler)
    kernel = Kernel(
        distro="debian",
        release=_release(version, name),
        arch=port[1],
        uname=evidence.release,
        flavour=name["flavour"],
        version=version[0],
    )
    proof = (said, evidence.release, *((banner.builder,) if banner and banner.builder else ()))
    reason = f"it calls itself {said}, which is the version of Debian's package"
    return Claim(kernel=kernel, reason=reason, evidence=proof)


def _without_version(evidence: Evidence, builder: str, compiler: str) -> Claim | None:
    """The verdict on evidence that does not say `Debian <version>`."""
    banner = evidence.banner
    if banner and builder and not built_by(banner, _BUILDER):
        if "Debian" not in compiler:
            return None
        return _local(f"only its compiler is Debian's, it was built by {builder}", builder)
    name = _UNAME.fullmatch(evidence.release)
    if name is None or port_of_flavour(name["flavour"]) is None:
        return None
    if _BARE.fullmatch(evidence.version) or _numbers(name["line"]) < (3, 2):
        return Claim(
            reason=f"{evidence.release} has the form of Debian's names, but the words "
            "'Debian <version>' are missing: several uploads can share one name",
            evidence=(evidence.release,),
        )
    return _local("a kernel of Debian's would say 'Debian <version>'", evidence.version)


def _local(reason: str, word: str) -> Claim:
    return Claim(unsupported=_LOCAL, reason=f"{_LOCAL} or a derivative: {reason}", evidence=(word,))


def _is_genuine(banner: Banner) -> bool:
    """Before 3.2 the uploader's own address stands there, behind the mark of Debian's tools."""
    user, _, host = banner.builder.partition("@")
    uploaded = bool(banner.mark) and user != "root" and "." in host
    return uploaded or built_by(banner, _BUILDER)


def _release(version: re.Match[str], name: re.Match[str]) -> str:
    """The release that a kernel was made for; "" when nothing tells."""
    if version["backport"]:
        number = int(version["backport"])
        release = str(number // 10 if number >= 40 else number)  # bpo70: wheezy, bpo8: jessie
        return release if release in CODENAMES else ""
    if version["experimental"]:
        return "experimental"
    if version["codename"]:
        return next(number for number, word in CODENAMES.items() if word == version["codename"])
    line = _numbers(version["line"])
    later = (release for first, release in LINES.items() if line <= first)
    return version["update"] or name["series"] or next(later, "")


def _numbers(line: str) -> tuple[int, ...]:
    return tuple(map(int, line.split(".")))


def _line(kernel: Kernel) -> str:
    found = re.match(_LINE, kernel.version)
    return found["line"] if found else ""


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The `-dbg` package (vmlinux, modules, System.map) and the package of the sources."""
    line = _line(kernel)
    port = (port_of_flavour(kernel.flavour) or ("*",))[0]
    source = _package(Role.SOURCE, f"linux-source-{line}", kernel.version, "all")
    if _numbers(line) < _FIRST_WITH_DEBUG:
        return (source,)
    debug = _package(Role.DEBUGINFO, f"linux-image-{kernel.uname}-dbg", kernel.version, port)
    return debug, source


def _package(role: Role, name: str, version: str, arch: str) -> Package:
    file = f"{name}_{version}_{arch}.deb"
    return Package(role=role, id=file, name=name, version=version, arch=arch)


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """Where to ask, in order: what is `given`, more suites of its mirrors, the built-in hosts.

    `given` are the configured sources, then the machine's own (see `apt_archive.mirrors`).  The
    built-in ones have the origin `built in`; snapshot.debian.org is the last.
    """
    usual, security = _suites(kernel)
    ours = {*CODENAMES.values(), *ALIASES}
    mirrors = apt_archive.mirrors(
        [source for source in given if source.distro != "*" or source.component == "main"],
        distro="debian", ours=ours, usual=usual, security=security, keyring=_KEYRING,
    )  # fmt: skip
    return apt_archive.unique((*mirrors, *_built_in(kernel, usual, security)))


def _suites(kernel: Kernel) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The suites that may hold a kernel, likely ones first: of the archive, and of security."""
    line = _numbers(_line(kernel))
    codename = CODENAMES.get(kernel.release)
    if codename and "bpo" in kernel.version:
        return (f"{codename}-backports",), ()
    if line <= max(LINES) and LINES.get(line) != kernel.release:
        return (), ()  # an upload to unstable of years ago: only the snapshots keep it
    if codename is None:
        return ("experimental", "sid"), ()
    old = int(kernel.release) <= _NEWEST_ARCHIVED
    security = (f"{codename}/updates" if old else f"{codename}-security",)
    stable = (codename, f"{codename}-updates", f"{codename}-proposed-updates")
    return (stable if line in LINES else ("sid", *stable, "experimental")), security


def _built_in(
    kernel: Kernel, usual: tuple[str, ...], security: tuple[str, ...]
) -> Iterator[Source]:
    number = int(kernel.release) if kernel.release.isdigit() else _NEWEST_ARCHIVED + 2
    every, debug = (_KEYRING, _RETIRED_KEYRING), tuple(f"{suite}-debug" for suite in usual[:1])
    places: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
    if number > _NEWEST_ARCHIVED:
        places += [("http://security.debian.org/debian-security", security, every[:1])]
        places += [("http://ftp.debian.org/debian", usual, every[:1])]
    if number <= _NEWEST_ARCHIVED + 1:  # the newest but one moves there while it is still served
        places += [("http://archive.debian.org/debian-security", security, every)]
        places += [("http://archive.debian.org/debian", usual, every)]
    places += [("http://debug.mirrors.debian.org/debian-debug", debug, every[:1])]
    for url, suites, keys in places:
        for suite in suites:
            yield Source(distro="debian", kind="apt", url=url, suite=suite, signed_by=keys)
    yield Source(
        distro="debian", kind="snapshot", url=_SNAPSHOT, signed_by=every, signature="if-present"
    )


def _snapshot_suites(kernel: Kernel) -> dict[str, tuple[str, ...]]:
    """Where a version stood first, by snapshot.debian.org's names of the archives."""
    usual, security = _suites(kernel)
    entry = tuple(suite for suite in usual if suite.endswith(("-backports", "-proposed-updates")))
    unstable = "experimental" if kernel.release == "experimental" else "sid"
    return {"debian": (*entry, unstable), "debian-security": security, "debian-backports": entry}


def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
    """The package at one source, or None; see `apt_archive`, `snapshot` and `listing`."""
    port = (port_of_flavour(kernel.flavour) or ("*",))[0]
    if source.kind == "apt":
        return apt_archive.locate(package, source, fetch, port=port)
    if source.kind == "directory":
        return listing.locate(package, source, fetch)
    if source.kind == "snapshot":
        suites = _snapshot_suites(kernel)
        return snapshot.locate(package, source, fetch, port=port, suites=suites)
    return None


def layout(kernel: Kernel) -> Layout:
    """As in the `-dbg` and `linux-source` packages of every release since squeeze."""
    uname, tree = re.escape(kernel.uname), f"usr/src/linux-source-{_line(kernel)}"
    modules = rf"usr/lib/debug/(?:usr/)?lib/modules/{uname}"
    return Layout(
        vmlinux=re.compile(rf"usr/lib/debug/boot/vmlinux-{uname}|{modules}/vmlinux"),
        modules=re.compile(
            rf"{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?(?:\.xz|\.zst|\.gz)?"
        ),
        system_map=re.compile(rf"usr/lib/debug/boot/System\.map-{uname}"),
        source_archive=re.compile(rf"{re.escape(tree)}\.tar\.(?:xz|bz2|gz)"),
        source_root=tree,
    )


DISTRO = Distro(
    name="debian",
    title="Debian",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=locate,
    layout=layout,
    weakly_signed=lambda kernel: kernel.release in ("6", "7"),  # with SHA-1 alone
    typical=deb_series.debian,
    named=deb_images.named(recognise, "Debian"),
    keyrings=(_KEYRING,),
    keyring_package="debian-archive-keyring",
)
