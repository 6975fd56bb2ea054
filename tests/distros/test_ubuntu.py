"""Where Ubuntu's kernels are looked for, what is taken, and how their packages are laid out."""

from __future__ import annotations

import lzma

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernsym.distros import (
    Fingerprint,
    Kernel,
    MemberKind,
    PackageRef,
    Role,
    Source,
    catalog,
    identify,
)
from kernsym.distros.formats.apt_sources import parse_one_line
from tests.distros.recorded import KEY, Recorded, release

UBUNTU = catalog()["ubuntu"]


def kernel(uname: str, number: str, machine: str = "x86_64") -> Kernel:
    shown = Fingerprint(release=uname, version=f"#{number}-Ubuntu SMP Tue Nov 14", machine=machine)
    verdict = identify(shown)
    assert verdict.kernel is not None, verdict.reason
    return verdict.kernel


def asked(one: Kernel, *given: Source) -> list[str]:
    found = UBUNTU.sources(one, given)
    return [f"{source.place} {source.component}" for source in found]


def repository(name: str, version: str, size: int, suffix: str = "ddeb") -> dict[str, bytes]:
    """A mirror of jammy-updates with one package."""
    stanza = f"""\
Package: {name}
Version: {version}
Architecture: amd64
Filename: pool/main/l/linux/{name}_{version}_amd64.{suffix}
Size: {size}
SHA256: {"c" * 64}
"""
    packed, path = lzma.compress(stanza.encode()), "main/binary-amd64/Packages.xz"
    suite = "http://m.example/u/dists/jammy-updates"
    return {f"{suite}/InRelease": release({path: packed}, by_hash=False), f"{suite}/{path}": packed}


MIRROR = Source(
    distro="ubuntu", kind="apt", url="http://m.example/u", suite="jammy-updates", origin="t"
)


def located(one: Kernel, pages: dict[str, bytes], source: Source = MIRROR) -> list[PackageRef]:
    found = (
        UBUNTU.locate(package, one, source, Recorded(pages)) for package in UBUNTU.packages(one)
    )
    return [reference for reference in found if reference is not None]


def test_the_ddebs_come_first_and_launchpad_last() -> None:
    assert asked(kernel("5.15.0-91-generic", "101")) == [
        "ddebs.ubuntu.com jammy-updates main",
        "ddebs.ubuntu.com jammy-updates universe",
        "ddebs.ubuntu.com jammy main",
        "ddebs.ubuntu.com jammy universe",
        "ddebs.ubuntu.com jammy-proposed main",
        "ddebs.ubuntu.com jammy-proposed universe",
        "archive.ubuntu.com/ubuntu jammy-updates main",
        "archive.ubuntu.com/ubuntu jammy main",
        "archive.ubuntu.com/ubuntu jammy-proposed main",
        "api.launchpad.net/devel/ubuntu/+archive/primary main",
    ]


def test_a_backport_is_looked_for_in_the_release_that_it_was_made_for() -> None:
    places = asked(kernel("5.15.0-91-generic", "101~20.04.1", "aarch64"))
    assert places[0] == "ddebs.ubuntu.com focal-updates main"
    assert "ports.ubuntu.com/ubuntu-ports focal main" in places


def test_a_machine_that_has_the_ddebs_is_asked_before() -> None:
    line = "deb http://m.example/ddebs jammy main"
    places = asked(kernel("5.15.0-91-generic", "101"), *parse_one_line(line, "ddebs.list"))
    assert places[0] == "m.example/ddebs jammy main"
    assert places[-1].startswith("api.launchpad.net")


def test_the_keys_are_those_of_the_host() -> None:
    keys = {s.url: s.signed_by for s in UBUNTU.sources(kernel("5.15.0-91-generic", "101"), ())}
    assert "dbgsym" in keys["http://ddebs.ubuntu.com"][0]
    assert "archive" in keys["http://archive.ubuntu.com/ubuntu"][0]


def test_a_ddeb_in_a_mirror() -> None:
    name, version = "linux-image-unsigned-5.15.0-91-generic-dbgsym", "5.15.0-91.101"
    (found,) = located(kernel("5.15.0-91-generic", "101"), repository(name, version, 1234))
    assert found.url == f"http://m.example/u/pool/main/l/linux/{name}_{version}_amd64.ddeb"
    assert (found.size, found.signed_by) == (1234, KEY)


@pytest.mark.parametrize(("size", "there"), [(26_000, False), (900_000_000, True)])
def test_the_stub_of_a_signed_image_is_passed_over(size: int, there: bool) -> None:
    one = kernel("4.4.0-135-generic", "161")
    pages = repository("linux-image-4.4.0-135-generic-dbgsym", "4.4.0-135.161", size)
    assert bool(located(one, pages)) is there


def test_a_small_package_is_no_stub_where_nothing_is_signed() -> None:
    one = kernel("3.2.0-24-generic", "39")
    pages = repository("linux-image-3.2.0-24-generic-dbgsym", "3.2.0-24.39", 26_000)
    assert len(located(one, pages)) == 1


def test_of_ubuntus_hosts_each_is_asked_for_what_it_has() -> None:
    one = kernel("5.15.0-91-generic", "101")
    debug, sources = UBUNTU.packages(one)
    assert (debug.role, sources.role) == (Role.DEBUGINFO, Role.SOURCE)
    own = parse_one_line("deb http://us.archive.ubuntu.com/ubuntu jammy main", "sources.list")
    for source in UBUNTU.sources(one, own):
        for package, host in ((debug, "ddebs"), (sources, "archive")):
            fetch = Recorded({})
            assert UBUNTU.locate(package, one, source, fetch) is None
            assert bool(fetch.asked) is (source.kind == "launchpad" or host in source.url)


def test_a_ddeb_in_a_folder() -> None:
    file = "linux-image-unsigned-5.15.0-91-generic-dbgsym_5.15.0-91.101_amd64.ddeb"
    folder = Source(distro="ubuntu", kind="directory", url="file:///srv/d", origin="t")
    (found,) = located(
        kernel("5.15.0-91-generic", "101"), {"file:///srv/d/": f"{file}\n".encode()}, folder
    )
    assert (found.package.id, found.package.arch) == (file, "amd64")


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("usr/lib/debug/boot/vmlinux-6.8.0-63-generic", MemberKind.VMLINUX, "vmlinux"),
        (
            "usr/lib/debug/lib/modules/6.8.0-63-generic/kernel/net/nf-conntrack.ko",
            MemberKind.MODULE,
            "nf_conntrack",
        ),
        (
            "usr/lib/debug/usr/lib/modules/6.8.0-63-generic/kernel/fs/xfs/xfs.ko.zst",
            MemberKind.MODULE,
            "xfs",
        ),
        (
            "usr/src/linux-source-6.8.0/linux-source-6.8.0.tar.bz2",
            MemberKind.SOURCE_ARCHIVE,
            "linux-source-6.8.0.tar.bz2",
        ),
        ("usr/lib/debug/lib/modules/6.8.0-63-generic/a/b.ko.gz", MemberKind.MODULE, "b"),
        ("usr/src/linux-source-6.8.0.tar.bz2", MemberKind.SOURCE_ARCHIVE, None),
        ("usr/src/linux-hwe-6.8-source-6.8.0.tar.bz2", MemberKind.SOURCE_ARCHIVE, None),
        ("usr/lib/debug/boot/vmlinux-6.8.0-63-generic.decompressor", None, None),
        ("usr/lib/debug/boot/vmlinux-6.8.0-63-generic-64k", None, None),
        ("lib/modules/6.8.0-63-generic/kernel/fs/xfs/xfs.ko.zst", None, None),
        ("usr/src/linux-source-6.8.0/debian/changelog", None, None),
    ],
)
def test_the_layout(path: str, kind: MemberKind | None, name: str | None) -> None:
    found = UBUNTU.layout(kernel("6.8.0-63-generic", "66")).classify(path)
    assert (found and found[0]) == kind
    assert name is None or (found and found[1]) == name


PIECES = st.sampled_from(
    ["5.15.0", "-91", "-generic", "#101", "-Ubuntu", "~20.04.1", "~", "(Ubuntu ", "buildd@x", ")"]
)
WORDS = st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join)


@given(WORDS, WORDS, WORDS)
@example("5.15.0-91-generic", f"#{'1' * 300}-Ubuntu", "")
@example(f"5.15.{'0' * 300}-91-generic", "#101-Ubuntu", "")
@example("5.15.0-91-generic", "#101-Ubuntu", "x/../y")
def test_no_fingerprint_makes_it_fail(uname: str, version: str, machine: str) -> None:
    for shown in (
        Fingerprint(release=uname, version=version, machine=machine),
        Fingerprint(banner=f"Linux version {uname} (buildd@a) (gcc) {version}"),
    ):
        found = identify(shown).kernel
        if found is not None and found.distro == "ubuntu":
            assert UBUNTU.packages(found)
            assert UBUNTU.sources(found, ())
            assert UBUNTU.layout(found).source_root
