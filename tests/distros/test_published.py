"""All kernels that a source lists, and what a kernel of a series looks like."""

from __future__ import annotations

import json
import lzma

import pytest

from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    Kernel,
    Outcome,
    Series,
    Source,
    catalog,
    identify,
)
from kernsym.distros.formats.published import age, kernels, named_builds
from tests.distros.recorded import KEY, Recorded, release
from tests.distros.rpm_md_writer import Row, repository

URL = "http://mirror.example/repo"


def typical(distro: str, name: str, flavour: str = "") -> Kernel:
    found = catalog()[distro].typical(Series(name=name, flavour=flavour))
    assert found is not None
    return found


def stanza(package: str, version: str, arch: str = "amd64", suffix: str = "deb") -> str:
    return (
        f"Package: {package}\nVersion: {version}\nArchitecture: {arch}\n"
        f"Filename: pool/{package}_{version}_{arch}.{suffix}\nSize: 7\nSHA256: {'ab' * 32}\n\n"
    )


def apt(text: str) -> dict[str, bytes]:
    packed = lzma.compress(text.encode())
    path = "main/binary-amd64/Packages.xz"
    suite = f"{URL}/dists/suite"
    return {f"{suite}/InRelease": release({path: packed}, by_hash=False), f"{suite}/{path}": packed}


def listed(like: Kernel, kind: str, pages: dict[str, bytes]) -> list[str]:
    source = Source(distro=like.distro, kind=kind, url=URL, suite="suite")
    found = sorted(
        kernels(like, source, Recorded(pages)), key=lambda one: (age(one.kernel), one.kernel.key)
    )
    assert all(one.ref.url.startswith(URL) for one in found)
    return [one.kernel.key.split("/", 2)[2] for one in found]


def test_an_apt_suite_lists_its_kernels() -> None:
    debug = "linux-image-6.1.0-{}-amd64-dbg"
    text = (
        stanza("linux-image-6.1.0-9-amd64", "6.1.27-1")
        + stanza(debug.format(9), "6.1.27-1")
        + stanza("linux-image-6.1.0-10-cloud-amd64-dbg", "6.1.37-1")
        + stanza("linux-image-amd64-dbg", "6.1.37-1")
        + stanza(debug.format(10), "6.1.37-1")
        + stanza("linux-source-6.1", "6.1.37-1", "all")
    )
    assert listed(typical("debian", "bookworm"), "apt", apt(text)) == [
        "6.1.0-9-amd64/6.1.27-1",
        "6.1.0-10-amd64/6.1.37-1",
        "6.1.0-10-cloud-amd64/6.1.37-1",
    ]


def test_of_ubuntu_the_stubs_of_signed_copies_are_no_kernels() -> None:
    text = stanza("linux-image-5.15.0-91-generic-dbgsym", "5.15.0-91.101", suffix="ddeb")
    text += stanza("linux-image-unsigned-5.15.0-91-generic-dbgsym", "5.15.0-91.101", suffix="ddeb")
    like = typical("ubuntu", "22.04", "generic")
    assert listed(like, "apt", apt(text)) == ["5.15.0-91-generic/5.15.0-91.101"]
    source = Source(distro="ubuntu", kind="apt", url=URL, suite="suite")
    (found,) = kernels(like, source, Recorded(apt(text)))
    assert (found.ref.size, found.ref.sha256, found.ref.signed_by) == (7, "ab" * 32, KEY)
    assert found.ref.package.id.endswith("_amd64.ddeb")


def test_an_rpm_repository_lists_its_kernels() -> None:
    names = ("kernel-debuginfo", "kernel-debuginfo-common-x86_64", "kernel-debug-debuginfo", "vim")
    rows = [Row(name=name, release=f"{n}.el8_10") for name in names for n in (553, 477)]
    rows += [Row(name="kernel-debuginfo", arch="aarch64")]
    found = listed(typical("rocky", "8"), "rpm-md", repository(URL, rows))
    assert [key for key in found if "+debug" not in key] == [
        "4.18.0-477.el8_10.x86_64/4.18.0-477.el8_10",
        "4.18.0-553.el8_10.x86_64/4.18.0-553.el8_10",
    ]
    assert len(found) == 4

    rows = [
        Row(name=name, version="5.14.21", release="150500.55.52.1")
        for name in ("kernel-default-debuginfo", "kernel-default", "kernel-default-base")
    ]
    assert listed(typical("sles", "15-SP5"), "rpm-md", repository(URL, rows)) == [
        "5.14.21-150500.55.52-default/5.14.21-150500.55.52"
    ]


def test_a_folder_lists_its_kernels() -> None:
    names = (
        "linux-image-6.1.0-10-amd64-dbg_6.1.37-1_amd64.deb",
        "linux-image-6.1.0-10-amd64_6.1.37-1_amd64.deb",
        "kernel-debuginfo-4.18.0-553.el8_10.x86_64.rpm",
        "notes.txt",
    )
    page = {f"{URL}/": "\n".join(names).encode()}
    assert listed(typical("debian", "12"), "directory", page) == ["6.1.0-10-amd64/6.1.37-1"]
    assert listed(typical("alma", "8.10"), "directory", page) == [
        "4.18.0-553.el8_10.x86_64/4.18.0-553.el8_10"
    ]


def test_nothing_is_listed_where_nothing_is_and_broken_lists_are_not_nothing() -> None:
    like = typical("debian", "12")
    for kind in ("apt", "rpm-md", "directory", "snapshot"):
        assert listed(like, kind, {}) == []
    with pytest.raises(CouldNotFindOut):
        listed(like, "apt", apt("Package: linux-image-6.1.0-1-amd64-dbg\nVersion: 1\n\n"))
    with pytest.raises(CouldNotFindOut):
        listed(like, "apt", apt("Package: linux-image-6.1.0-1-amd64-dbg\nSize: 1\n\n"))


@pytest.mark.parametrize(
    ("distro", "series", "flavour", "release", "plain"),
    [
        ("debian", "trixie", "", "13", "amd64"),
        ("debian", "11", "cloud-amd64", "11", "cloud-amd64"),
        ("ubuntu", "noble", "", "24.04", "generic"),
        ("rhel", "9.4", "", "9", ""),
        ("rhel", "7", "", "7", ""),
        ("rocky", "9", "rt", "9", "rt"),
        ("oracle", "8", "uek", "8", "uek"),
        ("fedora", "40", "", "40", ""),
        ("amazon", "2023", "", "2023", ""),
        ("photon", "5.0", "esx", "5", "esx"),
        ("sles", "12-SP5", "", "12-SP5", "default"),
        ("opensuse", "15.5", "", "15-SP5", "default"),
        ("opensuse", "Tumbleweed", "", "Tumbleweed", "default"),
    ],
)
def test_a_typical_kernel_of_a_series(
    distro: str, series: str, flavour: str, release: str, plain: str
) -> None:
    kernel = typical(distro, series, flavour)
    assert (kernel.release, kernel.flavour) == (release, plain)
    assert catalog()[distro].sources(kernel, ()), "nobody would be asked"


def test_every_distribution_refuses_a_series_that_it_does_not_have() -> None:
    for distro in catalog().values():
        for name in ("", "woody-and-buzz", "-1", "99999999999"):
            kernel = distro.typical(Series(name=name))
            assert kernel is None or distro.name == "fedora"


def test_what_is_said_of_a_machine_decides_between_those_that_are_possible() -> None:
    release = "4.18.0-553.el8_10.x86_64"
    assert identify(Fingerprint(release=release)).outcome is Outcome.AMBIGUOUS
    rocky = identify(Fingerprint(release=release, distro="rocky"))
    assert rocky.kernel is not None and rocky.kernel.distro == "rocky"
    assert "said to be" in rocky.reason
    package = Fingerprint(package=f"kernel-debuginfo-{release}.rpm", distro="alma")
    named = identify(package).kernel
    assert named is not None and named.distro == "alma"
    # What is said never stands against the evidence.
    for distro in ("debian", "fedora", "nobody"):
        found = identify(Fingerprint(release=release, distro=distro))
        assert found.outcome is Outcome.AMBIGUOUS
    fedora = identify(Fingerprint(release="6.8.5-301.fc40.x86_64", distro="rocky")).kernel
    assert fedora is not None and fedora.distro == "fedora"


SNAPSHOT = "https://snapshot.debian.org"
LAUNCHPAD = "https://api.launchpad.net/devel/ubuntu/+archive/primary"


def test_archives_of_old_packages_tell_the_builds_of_a_name() -> None:
    """Several uploads of Debian's had one name; Ubuntu's backports share theirs with the plain."""
    uname = "6.1.0-18-amd64"
    rows = [
        {"binary_version": version, "name": f"linux-image-{uname}-dbg", "source": "linux"}
        for version in ("6.1.76-1", "6.1.76-1", "6.1.75-1")
    ]
    page = {f"{SNAPSHOT}/mr/binary/linux-image-{uname}-dbg/": json.dumps({"result": rows}).encode()}
    source = Source(distro="debian", kind="snapshot", url=SNAPSHOT)
    found = named_builds(typical("debian", "12"), uname, source, Recorded(page))
    assert [kernel.version for kernel in found] == ["6.1.76-1", "6.1.75-1"]

    uname = "5.15.0-91-generic"
    name = f"linux-image-unsigned-{uname}-dbgsym"
    entries = [
        {"binary_package_name": name, "binary_package_version": version}
        for version in ("5.15.0-91.101~20.04.1", "5.15.0-91.101")
    ]
    url = f"{LAUNCHPAD}?ws.op=getPublishedBinaries&exact_match=true&binary_name={name}"
    page = {url: json.dumps({"entries": entries}).encode()}
    source = Source(distro="ubuntu", kind="launchpad", url=LAUNCHPAD)
    kernels_found = list(named_builds(typical("ubuntu", "jammy"), uname, source, Recorded(page)))
    assert [kernel.release for kernel in kernels_found] == ["20.04", "22.04"]
    assert not list(named_builds(typical("debian", "12"), "odd", source, Recorded({})))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"result": 1}', b"<html>"])
def test_an_answer_that_makes_no_sense_is_no_no(body: bytes) -> None:
    uname = "6.1.0-18-amd64"
    page = {f"{SNAPSHOT}/mr/binary/linux-image-{uname}-dbg/": body}
    source = Source(distro="debian", kind="snapshot", url=SNAPSHOT)
    with pytest.raises(CouldNotFindOut):
        list(named_builds(typical("debian", "12"), uname, source, Recorded(page)))
