"""Where kernels of SLES and openSUSE are looked for, which rebuilds fit, and the layout."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernsym.distros import (
    Fingerprint,
    Kernel,
    MemberKind,
    Outcome,
    PackageRef,
    Role,
    Source,
    catalog,
    identify,
)
from kernsym.distros.formats.suse_packages import locate_all
from tests.distros.recorded import KEY, Recorded
from tests.distros.rpm_md_writer import Row, repository

SUSE = catalog()["sles"]
URL = "http://m.example/sles"
REPOSITORY = Source(distro="sles", kind="rpm-md", url=URL, origin="t")


def kernel(uname: str, machine: str | None = "x86_64", version: str = "(8356111)") -> Kernel:
    verdict = identify(Fingerprint(release=uname, version=f"#1 SMP {version}", machine=machine))
    assert verdict.kernel is not None, verdict.reason
    return verdict.kernel


def kernel_10(uname: str, machine: str) -> Kernel:
    banner = f"Linux version {uname} (geeko@buildhost) (gcc version 4.1.2 (SUSE Linux)) #1 SMP x"
    verdict = identify(Fingerprint(banner=banner, machine=machine))
    assert verdict.kernel is not None, verdict.reason
    return verdict.kernel


def rows(*releases: str, name: str = "kernel-default-debuginfo", arch: str = "x86_64") -> list[Row]:
    return [Row(name=name, version="3.0.101", release=number, arch=arch) for number in releases]


def found(one: Kernel, listed: Iterable[Row]) -> list[str]:
    package = SUSE.packages(one)[0]
    refs = locate_all(package, one, REPOSITORY, Recorded(repository(URL, listed)))
    return [ref.package.id.removeprefix("kernel-default-debuginfo-") for ref in refs]


def test_both_names_are_one_distribution() -> None:
    assert catalog()["opensuse"] is SUSE


def test_a_rebuild_fits_and_a_longer_number_does_not() -> None:
    listed = rows("0.15.1", "0.15.4", "0.150.1", "0.15.1.1", "0.1.5", "0.14.15", "0.15.1.PTF")
    assert found(kernel("3.0.101-0.15-default"), listed) == [
        "3.0.101-0.15.4.x86_64",
        "3.0.101-0.15.1.x86_64",
    ]


def test_a_build_without_a_counter_comes_first() -> None:
    listed = rows("0.15.2", "0.15")
    assert found(kernel("3.0.101-0.15-default"), listed)[0] == "3.0.101-0.15.x86_64"


@pytest.mark.parametrize(
    "said",
    [
        {"provides": (f"kernel-default-srchash-8356111{'a' * 33}",)},
        {"description": f"The kernel.\n\nGIT Revision: 8356111{'a' * 33}\nGIT Branch: SLE11"},
    ],
    ids=["provides", "description"],
)
def test_the_build_of_the_banners_commit_comes_first(said: dict[str, Any]) -> None:
    one = kernel("3.0.101-0.15-default", version="(8356111)")
    listed = rows("0.15.1", "0.15.2", "0.15.4")
    listed[0] = replace(listed[0], **said)
    listed[2] = replace(listed[2], provides=(f"kernel-default-srchash-{'b' * 40}",))
    assert found(one, listed) == [f"3.0.101-0.15.{n}.x86_64" for n in (1, 4, 2)]


def test_before_sles_11_the_release_is_whole() -> None:
    one = kernel_10("2.6.16.60-0.42-default", "x86_64")
    listed = [replace(row, version="2.6.16.60") for row in rows("0.42", "0.42.7")]
    assert found(one, listed) == ["2.6.16.60-0.42.x86_64"]


@pytest.mark.parametrize(
    ("machine", "arch", "fits"),
    [
        ("x86_64", "x86_64", True),
        ("x86_64", "i586", False),
        ("i686", "i586", True),
        ("i686", "i686", True),
        ("i686", "x86_64", False),
        ("ppc64", "ppc64", True),
        ("ppc64", "ppc", True),
        ("ppc64le", "ppc64", False),
        (None, "s390x", True),
    ],
)
def test_the_processor_must_fit(machine: str | None, arch: str, fits: bool) -> None:
    one = kernel("3.0.101-0.15-default", machine)
    assert bool(found(one, rows("0.15.1", arch=arch))) is fits


def test_locate_takes_the_best_and_says_where_from() -> None:
    one = kernel("3.0.101-0.15-default")
    fetch = Recorded(repository(URL, rows("0.15.1", "0.15.4")))
    ref = SUSE.locate(SUSE.packages(one)[0], one, REPOSITORY, fetch)
    assert ref is not None
    assert ref.url == f"{URL}/Packages/kernel-default-debuginfo-3.0.101-0.15.4.x86_64.rpm"
    assert (ref.package.role, ref.signed_by) == (Role.DEBUGINFO, KEY)


def test_each_role_has_its_package() -> None:
    one = kernel("3.0.101-0.15-default")
    names = ("debuginfo", "base", "debugsource")
    listed = [row for name in names for row in rows("0.15.1", name=f"kernel-default-{name}")]
    fetch = Recorded(repository(URL, listed))
    refs = [SUSE.locate(package, one, REPOSITORY, fetch) for package in SUSE.packages(one)]
    assert [ref.package.role.value for ref in refs if ref] == ["debuginfo", "kernel", "source"]


def test_a_folder_of_packages() -> None:
    one = kernel("3.0.101-0.15-default")
    folder = Source(distro="sles", kind="directory", url="file:///srv/rpms", origin="t")
    names = [f"kernel-default-debuginfo-3.0.101-0.{n}.x86_64.rpm" for n in ("150.1", "15.3")]
    listing = "\n".join([*names, f"{names[1]}.part", "kernel-default-3.0.101-0.15.3.x86_64.rpm"])
    fetch = Recorded({"file:///srv/rpms/": listing.encode()})
    refs: list[PackageRef | None] = [
        SUSE.locate(package, one, folder, fetch) for package in SUSE.packages(one)
    ]
    assert [ref.url for ref in refs if ref] == [
        "file:///srv/rpms/kernel-default-debuginfo-3.0.101-0.15.3.x86_64.rpm",
        "file:///srv/rpms/kernel-default-3.0.101-0.15.3.x86_64.rpm",
    ]


def test_no_repository_is_no_answer_of_its_own() -> None:
    one = kernel("3.0.101-0.15-default")
    assert SUSE.locate(SUSE.packages(one)[0], one, REPOSITORY, Recorded({})) is None


@pytest.mark.parametrize(
    ("uname", "first", "somewhere"),
    [
        (
            "5.14.21-150400.24.103-default",
            "download.opensuse.org/debug/update/leap/15.4/sle",
            "updates.suse.com/SUSE/Updates/SLE-Module-Basesystem/15-SP4/x86_64/update_debug",
        ),
        (
            "5.3.18-24.37-default",
            "updates.suse.com/SUSE/Updates/SLE-Module-Basesystem/15-SP2/x86_64/update_debug",
            "updates.suse.com/SUSE/Updates/SLE-Product-SLES/15-SP2-LTSS/x86_64/update",
        ),
        (
            "6.4.0-150600.8.5-azure",
            "download.opensuse.org/debug/update/leap/15.6/sle",
            "updates.suse.com/SUSE/Products/SLE-Module-Public-Cloud/15-SP6/x86_64/product_debug",
        ),
        (
            "4.12.14-122.37-default",
            "updates.suse.com/SUSE/Products/SLE-SERVER/12-SP5/x86_64/product_debug",
            "updates.suse.com/SUSE/Updates/SLE-SERVER/12-SP5-LTSS/x86_64/update_debug",
        ),
        (
            "3.0.101-0.15-default",
            "nu.novell.com/repo/$RCE/SLES11-SP3-Debuginfo-Updates/sle-11-x86_64",
            "nu.novell.com/repo/$RCE/SLES11-SP3-Pool/sle-11-x86_64",
        ),
        (
            "6.12.0-160000.9-default",
            "download.opensuse.org/debug/update/leap/16.0/oss",
            "updates.suse.com/SUSE/Products/SLE-Product-SLES/16.0/x86_64/product_debug",
        ),
        (
            "5.3.18-lp152.60-default",
            "download.opensuse.org/debug/update/leap/15.2/oss",
            "download.opensuse.org/distribution/leap/15.2/repo/oss",
        ),
        (
            "3.16.7-53-default",
            "download.opensuse.org/debug/distribution/13.2/repo/oss",
            "download.opensuse.org/update/13.2",
        ),
        (
            "6.17.0-2-default",
            "download.opensuse.org/debug/tumbleweed/repo/oss",
            "download.opensuse.org/tumbleweed/repo/oss",
        ),
    ],
)
def test_where_kernels_are_looked_for(uname: str, first: str, somewhere: str) -> None:
    places = [source.place for source in SUSE.sources(kernel(uname), ())]
    assert places[0] == first
    assert somewhere in places
    assert len(places) == len(set(places))


def test_what_is_given_comes_first_and_apt_is_of_no_use() -> None:
    apt = Source(distro="*", kind="apt", url="http://m.example/debian", suite="bookworm")
    found = SUSE.sources(kernel("5.14.21-150400.24.103-default"), (apt, REPOSITORY))
    assert found[0] is REPOSITORY
    assert apt not in found


@pytest.mark.parametrize(
    ("uname", "path", "kind"),
    [
        ("3.0.101-0.15-default", "boot/vmlinux-{}.gz", MemberKind.STRIPPED),
        ("3.0.101-0.15-default", "boot/vmlinux-{}", MemberKind.STRIPPED),
        ("3.0.101-0.15-default", "boot/vmlinuz-{}", None),
        ("3.0.101-0.15-default", "boot/vmlinux-{}-base.gz", None),
        ("3.0.101-0.15-default", "usr/lib/debug/boot/vmlinux-{}.debug", MemberKind.VMLINUX),
        (
            "3.0.101-0.15-default",
            "usr/lib/debug/lib/modules/{}/kernel/fs/ext3/ext3.ko.debug",
            MemberKind.MODULE,
        ),
        ("3.0.101-0.15-default", "lib/modules/{}/kernel/fs/ext3/ext3.ko", None),
        (
            "3.0.101-0.15-default",
            "usr/src/debug/kernel-default-3.0.101/linux-3.0/mm/page_alloc.c",
            MemberKind.SOURCE_FILE,
        ),
        (
            "5.3.18-59.27-default",
            "usr/src/debug/kernel-default-5.3.18-59.27.1.x86_64/linux-5.3/mm/page_alloc.c",
            MemberKind.SOURCE_FILE,
        ),
        ("6.12.0-160000.9-default", "usr/lib/modules/{}/vmlinux.xz", MemberKind.STRIPPED),
        (
            "6.12.0-160000.9-default",
            "usr/lib/debug/usr/lib/modules/{}/vmlinux.debug",
            MemberKind.VMLINUX,
        ),
        (
            "6.12.0-160000.9-default",
            "usr/lib/debug/usr/lib/modules/{}/kernel/fs/xfs/xfs.ko.debug",
            MemberKind.MODULE,
        ),
    ],
)
def test_the_layout(uname: str, path: str, kind: MemberKind | None) -> None:
    found = SUSE.layout(kernel(uname)).classify(path.format(uname))
    assert (found and found[0]) == kind


@pytest.mark.parametrize(
    ("uname", "root"),
    [
        ("3.0.101-0.15-default", "usr/src/debug/kernel-default-3.0.101/linux-3.0"),
        ("5.3.18-59.27-default", None),  # only the package knows its rebuild number
    ],
)
def test_where_the_sources_lie(uname: str, root: str | None) -> None:
    assert SUSE.layout(kernel(uname)).source_root == root


def test_an_undecided_one_names_what_could_be_tried() -> None:
    verdict = identify(Fingerprint(release="5.6.6-212-default", version="#1 SMP (09cfe02)"))
    assert (verdict.outcome, verdict.candidates) == (Outcome.AMBIGUOUS, ("sles",))
    (possible,) = verdict.possible
    ids = [package.id for package in SUSE.packages(possible)]
    assert ids[0] == "kernel-default-debuginfo-5.6.6-212.*"


PIECES = st.sampled_from(
    ["3.0.101", "-0.15", "-63", "-default", "-lp151", ".28", "150300", "(8356111)", "#1 SMP ", "-"]
)
WORDS = st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join)


@given(WORDS, WORDS, WORDS)
@example(f"3.0.101-0.{'1' * 300}-default", "#1 SMP (8356111)", "")
@example("3.0.101.rt130-0.28-rt", "#1 SMP (8356111)", "x/../y")
def test_no_fingerprint_makes_it_fail(uname: str, version: str, machine: str) -> None:
    for shown in (
        Fingerprint(release=uname, version=version, machine=machine),
        Fingerprint(banner=f"Linux version {uname} (geeko@buildhost) (gcc) {version}"),
    ):
        verdict = identify(shown)
        for one in (verdict.kernel, *verdict.possible):
            if one is not None and catalog()[one.distro] is SUSE:
                assert SUSE.packages(one)
                assert SUSE.layout(one).stripped
                SUSE.sources(one, ())
