"""Ubuntu: the name and the number of the build make the package's version; the symbols are ddebs.

`5.15.0-91-generic` built as `#101~20.04.1-Ubuntu` is version 5.15.0-91.101~20.04.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernsym.distros.core.banner import Banner
from kernsym.distros.core.distro import Claim, Distro, Evidence, Fetch, Source
from kernsym.distros.core.kernel import Fingerprint, Kernel
from kernsym.distros.core.layout import Layout
from kernsym.distros.core.package import Package, PackageRef, Role
from kernsym.distros.formats import apt_archive, deb_series, launchpad, listing, source_packages
from kernsym.distros.formats.deb_ports import port_of_machine
from kernsym.distros.formats.ubuntu_builders import is_edgys, is_ubuntus, machine_of_builder
from kernsym.distros.formats.ubuntu_packages import (
    FLAVOUR,
    Build,
    debug_names,
    line_of,
    named_after,
    source_names,
    source_package_names,
)
from kernsym.distros.formats.ubuntu_releases import CODENAMES, LINES

_LOCAL = "a local build"

_DBGSYM_KEYRING = "/usr/share/keyrings/ubuntu-dbgsym-keyring.gpg"
_ARCHIVE_KEYRING = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
_DDEBS = "http://ddebs.ubuntu.com"
_LAUNCHPAD = "https://api.launchpad.net/devel/ubuntu/+archive/primary"
_OF_UBUNTU = re.compile(
    r"//(?:[a-z.-]+\.)?(?P<name>archive|ddebs|old-releases|ports|security)\.ubuntu\.com(?:/|\Z)"
)
_COMPONENTS = ("main", "universe")
# A -dbgsym made of a signed copy has no vmlinux; a real one has hundreds of megabytes.
_LARGEST_STUB = 10 << 20

# The fields of utsname have 64 characters.
_UNAME = re.compile(
    r"(?=.{1,64}\Z)(?P<base>[0-9]+\.[0-9]+\.[0-9]+)-(?P<abi>[0-9]{1,4})"
    r"-(?P<flavour>[a-z0-9]+(?:-[a-z0-9]+)*)"
)
_NUMBER = re.compile(r"[#\s](?P<number>[0-9]\S*?)-Ubuntu\b")  # pages lose the hash sign
# Upload, backport, and the marks of certified builds.  Others (`+lp123`, `~test`) are of PPAs.
_PUBLISHED = re.compile(
    r"(?=.{1,40}\Z)[0-9]+(?:\.[0-9]+)*(?:~(?:(?P<release>[0-9]{2}\.[0-9]{2})(?:\.[0-9]+)?"
    r"|(?P<codename>[a-z]{5,8})[0-9]+))?(?:\+(?:fips)?[0-9]+)?"
)
_COMPILED_FOR = re.compile(r"Ubuntu [^()]*~(?P<release>[0-9]{2}\.[0-9]{2})")
_NO_VERSION = re.compile(r"(?:#[0-9]*)?[\sA-Z_]*(?:\.\.\.|[>…])?")


def recognise(evidence: Evidence) -> Claim | None:
    """Certain when name, build number and, if it is shown, builder are all Ubuntu's."""
    banner = evidence.banner
    builder, compiler = (banner.builder, banner.compiler) if banner else ("", "")
    name = _UNAME.fullmatch(evidence.release)
    number = _NUMBER.search(evidence.version or (banner.raw if banner else ""))
    trailer = banner.trailer if banner else ""
    genuine = is_ubuntus(builder)
    if not (number or genuine or "Ubuntu" in f"{trailer} {compiler}"):
        return _by_name_alone(evidence, name, builder)
    if name is None:
        return _local(f"{evidence.release} is not a name that Ubuntu gives", evidence.release)
    if builder and not genuine and not is_edgys(builder, line_of(name["base"]), trailer):
        return _local(f"it was built by {builder}, not by Ubuntu", builder)
    return _with_builder(evidence, name, number, trailer)


def _by_name_alone(evidence: Evidence, name: re.Match[str] | None, builder: str) -> Claim | None:
    if name is None or builder or not FLAVOUR.fullmatch(name["flavour"]):
        return None
    if not _NO_VERSION.fullmatch(evidence.version):
        return None
    return _undecided(evidence.release, "the number of its build ('#101-Ubuntu') is missing")


def _with_builder(
    evidence: Evidence, name: re.Match[str], number: re.Match[str] | None, trailer: str
) -> Claim:
    """The verdict on evidence that is Ubuntu's by its builder or its build number."""
    stem, flavour = f"{name['base']}-{name['abi']}.", name["flavour"]
    signature = trailer.removeprefix("Ubuntu ").split()[:1] if "Ubuntu " in trailer else []
    if number:
        version, said = stem + number["number"], number[0].strip()
    elif signature and signature[0].startswith(stem) and signature[0].endswith(f"-{flavour}"):
        version, said = signature[0].removesuffix(f"-{flavour}"), trailer
    else:
        reason = "neither its build number nor its signature tells the package's version"
        return _undecided(evidence.release, reason)
    form = _PUBLISHED.fullmatch(version[len(stem) :])
    if form is None or (form["codename"] or "trusty") not in CODENAMES.values():
        return _local(f"{said} is not a number that Ubuntu's archive gives", said)
    if signature and not f"{version}-{flavour}".startswith(signature[0]):
        return _undecided(evidence.release, f"its build number and ({trailer}) contradict")
    if not (evidence.banner and evidence.banner.builder) and not FLAVOUR.fullmatch(flavour):
        return _undecided(evidence.release, f"its flavour {flavour} is not known, nor its builder")
    if flavour == "rt":
        return _undecided(evidence.release, "no package with symbols of -rt kernels is known")
    builder = evidence.banner.builder if evidence.banner else ""
    kernel = Kernel(
        distro="ubuntu",
        release=_release(form, name, evidence.banner),
        arch=evidence.arch
        or machine_of_builder(builder, line_of(name["base"]), form["release"] or "", flavour),
        uname=evidence.release,
        flavour=flavour,
        version=_edgy(version),
    )
    proof = tuple(word for word in (said, evidence.release, builder) if word)
    reason = f"{evidence.release} built as {said} is version {kernel.version} of Ubuntu's package"
    return Claim(kernel=kernel, reason=reason, evidence=proof)


def _edgy(version: str) -> str:
    """Edgy's packages have one number more than its kernels' names."""
    return re.sub(r"\A2\.6\.17-", "2.6.17.1-", version)


def _release(form: re.Match[str], name: re.Match[str], banner: Banner | None) -> str:
    """The release that a kernel was built for; "" when nothing tells."""
    if form["release"]:
        return form["release"] if form["release"] in CODENAMES else ""
    if form["codename"]:
        return next(key for key, word in CODENAMES.items() if word == form["codename"])
    compiled = _COMPILED_FOR.search(banner.compiler) if banner else None
    if compiled and compiled["release"] in CODENAMES:
        return compiled["release"]
    return LINES.get(line_of(name["base"]), "")


def named(file: str) -> Kernel | None:
    """The kernel that a package's file name tells, judged as its utsname would be."""
    found = named_after(file)
    if found is None:
        return None
    uname, number, machine = found
    evidence = Evidence(
        fingerprint=Fingerprint(release=uname), banner=None, release=uname,
        version=f"#{number}-Ubuntu", arch=machine,
    )  # fmt: skip
    claim = recognise(evidence)
    return claim.kernel if claim else None


def _local(reason: str, word: str) -> Claim:
    return Claim(unsupported=_LOCAL, reason=f"{_LOCAL} or a derivative: {reason}", evidence=(word,))


def _undecided(uname: str, why: str) -> Claim:
    reason = f"{uname} is a kernel of Ubuntu's by its words, but {why}"
    return Claim(reason=reason, evidence=(uname,))


def packages(kernel: Kernel) -> tuple[Package, ...]:
    """The -dbgsym packages to try, in order, and those of the sources."""
    build = _build(kernel)
    debug = (
        _package(Role.DEBUGINFO, name, kernel.version, build.port, "ddeb")
        for name in debug_names(build)
    )
    sources = (
        _package(Role.SOURCE, name, kernel.version, "all", "deb") for name in source_names(build)
    )
    trees = (source_packages.named(name, kernel.version) for name in source_package_names(build))
    return *debug, *sources, *trees


def _build(kernel: Kernel) -> Build:
    name = _UNAME.fullmatch(kernel.uname)
    assert name is not None  # `recognise` made the kernel
    return Build(
        uname=kernel.uname,
        line=line_of(name["base"]),
        base=name["base"],
        abi=int(name["abi"]),
        flavour=kernel.flavour,
        version=kernel.version,
        port=port_of_machine(kernel.arch),
    )


def _package(role: Role, name: str, version: str, arch: str, suffix: str) -> Package:
    file = f"{name}_{version}_{arch}.{suffix}"
    return Package(role=role, id=file, name=name, version=version, arch=arch)


def sources(kernel: Kernel, given: Sequence[Source]) -> tuple[Source, ...]:
    """Where to ask, in order: what is `given`, ddebs.ubuntu.com, the archive, Launchpad.

    ddebs.ubuntu.com drops what was superseded; Launchpad keeps it all.
    """
    codename = CODENAMES.get(kernel.release)
    usual = (f"{codename}-updates", codename, f"{codename}-proposed") if codename else ()
    mirrors = apt_archive.mirrors(
        given, distro="ubuntu", ours=set(CODENAMES.values()), usual=usual, security=(),
        keyring=_DBGSYM_KEYRING,
    )  # fmt: skip
    return apt_archive.unique((*mirrors, *_built_in(kernel, usual)))


def _built_in(kernel: Kernel, suites: tuple[str, ...]) -> Iterator[Source]:
    x86 = port_of_machine(kernel.arch) in ("amd64", "i386", "*")
    archive = "http://archive.ubuntu.com/ubuntu" if x86 else "http://ports.ubuntu.com/ubuntu-ports"
    for url, keys in ((_DDEBS, (_DBGSYM_KEYRING,)), (archive, (_ARCHIVE_KEYRING,))):
        for suite in suites:
            for component in _COMPONENTS if url == _DDEBS else _COMPONENTS[:1]:
                yield Source(
                    distro="ubuntu", kind="apt", url=url, suite=suite, component=component,
                    signed_by=keys,
                )  # fmt: skip
    yield Source(distro="ubuntu", kind="launchpad", url=_LAUNCHPAD, signature="if-present")


def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
    """The package at one source, or None; see `apt_archive`, `launchpad`, `listing` and
    `source_packages`."""
    if source.kind == "apt" and not _may_hold(source, package):
        return None
    if source_packages.is_one(package):
        return source_packages.locate(package, source, fetch)
    port, found = port_of_machine(kernel.arch), None
    if source.kind == "apt":
        found = apt_archive.locate(package, source, fetch, port=port)
    elif source.kind == "directory":
        found = listing.locate(package, source, fetch)
    elif source.kind == "launchpad":
        found = launchpad.locate(package, source, fetch, port=port)
    return None if found and _is_stub(found, kernel) else found


def _may_hold(source: Source, package: Package) -> bool:
    """Of Ubuntu's own hosts one has the ddebs, the others have the debs."""
    host = _OF_UBUNTU.search(source.url)
    return host is None or (host["name"] == "ddebs") is (package.role is not Role.SOURCE)


def _is_stub(found: PackageRef, kernel: Kernel) -> bool:
    """Whether it is the small package that goes with a signed copy of the image."""
    plain = f"linux-image-{kernel.uname}-dbgsym"
    return (
        found.package.name == plain
        and found.size is not None
        and found.size < _LARGEST_STUB
        and debug_names(_build(kernel))[0] != plain
    )


def weakly_signed(kernel: Kernel) -> bool:
    """Before 16.04 the indexes were signed with DSA or SHA-1."""
    return "" < kernel.release < "16.04"


def layout(kernel: Kernel) -> Layout:
    """As in the -dbgsym packages of every release, and in linux-source; a Debian source package
    is unpacked to the same place."""
    uname = re.escape(kernel.uname)
    modules = rf"usr/lib/debug/(?:usr/)?lib/modules/{uname}"
    base = kernel.uname.split("-", 1)[0]
    source = rf"linux-(?:[a-z0-9.-]+-)?source-{re.escape(base)}"
    return Layout(
        vmlinux=re.compile(rf"usr/lib/debug/boot/vmlinux-{uname}|{modules}/vmlinux"),
        modules=re.compile(
            rf"{modules}/(?:.*/)?(?P<name>[^/]+)\.ko(?:\.debug)?(?:\.zst|\.xz|\.gz)?"
        ),
        source_archive=re.compile(rf"usr/src/(?:{source}/)?{source}\.tar\.(?:bz2|xz|gz)"),
        source_root=f"usr/src/linux-source-{base}/linux-source-{base}",
    )


DISTRO = Distro(
    name="ubuntu",
    title="Ubuntu",
    recognise=recognise,
    packages=packages,
    sources=sources,
    locate=locate,
    layout=layout,
    weakly_signed=weakly_signed,
    named=named,
    typical=deb_series.ubuntu,
    keyrings=(_DBGSYM_KEYRING, _ARCHIVE_KEYRING),
    keyring_package="ubuntu-dbgsym-keyring",
)
