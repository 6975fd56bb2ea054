"""Folders and mirror lists as places of RPM packages."""

from __future__ import annotations

from kernsym.distros import Fingerprint, Kernel, Package, Source, catalog, identify
from tests.distros.recorded import Recorded
from tests.distros.rpm_md_writer import Row, repository

UEK = "5.15.0-206.153.7.1.el8uek.x86_64"
AMAZON = "5.10.162-141.675.amzn2.x86_64"
HOLDER = "https://m.example/2/guid"


def kernel(uname: str) -> Kernel:
    found = identify(Fingerprint(release=uname)).kernel
    assert found is not None
    return found


def debuginfo(one: Kernel) -> Package:
    return catalog()[one.distro].packages(one)[0]


def test_a_mirror_list_leads_to_the_repository() -> None:
    one = kernel(AMAZON)
    amazon = catalog()["amazon"]
    listed = amazon.sources(one, ())[0]
    row = Row(name="kernel-debuginfo", version="5.10.162", release="141.675.amzn2")
    world = Recorded(repository(f"{HOLDER}/x86_64", [row]))
    world.pages[listed.url] = f"{HOLDER}/$basearch\nhttps://n.example/\n".encode()
    ref = amazon.locate(debuginfo(one), one, listed, world)
    assert ref is not None
    assert ref.package.id == f"kernel-debuginfo-{AMAZON}"
    assert ref.url.startswith(f"{HOLDER}/x86_64/")
    assert not any("n.example" in url for url in world.asked)


def test_no_mirror_list_or_an_empty_one_is_no_repository() -> None:
    one = kernel(AMAZON)
    amazon = catalog()["amazon"]
    listed = amazon.sources(one, ())[0]
    for pages in ({}, {listed.url: b" \n"}):
        assert amazon.locate(debuginfo(one), one, listed, Recorded(pages)) is None


def test_a_folder_of_packages_is_searched_by_name() -> None:
    one = kernel(UEK)
    oracle = catalog()["oracle"]
    (flat,) = oracle.sources(one, ())
    name = f"kernel-uek-debuginfo-{UEK}.rpm"
    page = f'<a href="kernel-uek-debuginfo-common-{UEK}.rpm">c</a> <a href="{name}">d</a>'
    world = Recorded({f"{flat.url}/": page.encode()})
    ref = oracle.locate(debuginfo(one), one, flat, world)
    assert ref is not None
    assert (ref.url, ref.sha256) == (f"{flat.url}/{name}", None)
    other = kernel(UEK.replace("7.1", "7.2"))
    assert oracle.locate(debuginfo(other), other, flat, world) is None


def test_a_folder_tells_the_architecture_that_the_banner_does_not() -> None:
    line = "Linux version 2.6.18-371.el5 (mockbuild@x86-012.build.bos.redhat.com) (gcc (Red Hat"
    one = identify(Fingerprint(banner=line)).kernel
    assert one is not None and one.arch is None
    folder = Source(distro="rhel", kind="directory", url="file:///srv/rhel5")
    name = "kernel-debuginfo-2.6.18-371.el5.ia64.rpm"
    world = Recorded({"file:///srv/rhel5/": name.encode()})
    ref = catalog()["rhel"].locate(debuginfo(one), one, folder, world)
    assert ref is not None
    assert (ref.package.arch, ref.package.id) == ("ia64", name.removesuffix(".rpm"))


def test_other_kinds_of_places_are_not_asked() -> None:
    one = kernel(UEK)
    apt = Source(distro="*", kind="apt", url="https://d.example/debian", suite="sid")
    world = Recorded({})
    assert catalog()["oracle"].locate(debuginfo(one), one, apt, world) is None
    assert not world.asked
