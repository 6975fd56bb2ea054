"""Where the kernels of RPM distributions are looked for, and how their packages are laid out."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernsym.distros import (
    Fingerprint,
    Kernel,
    MemberKind,
    Outcome,
    Source,
    catalog,
    identify,
)

HOSTS = {
    "rhel": "mockbuild@x86-vm-07.build.eng.bos.redhat.com",
    "centos": "mockbuild@kbuilder.bsys.centos.org",
    "centos-stream": "mockbuild@x86-05.stream.rdu2.redhat.com",
    "rocky": "mockbuild@iad1-prod-build001.bld.equ.rockylinux.org",
    "alma": "mockbuild@x64-builder01.almalinux.org",
    "oracle": "mockbuild@ca-build44.us.oracle.com",
    "fedora": "mockbuild@bkernel01.iad2.fedoraproject.org",
    "amazon": "mockbuild@ip-10-0-1-12",
    "photon": "root@photon",
}


def banner(distro: str, uname: str) -> str:
    words = "(gcc version 8.5.0 20210514 (Red Hat 8.5.0-4) (GCC)) #1 SMP Thu Apr 29 08:54:30 2021"
    return f"Linux version {uname} ({HOSTS[distro]}) {words}"


def kernel(distro: str, uname: str, arch: str | None = None) -> Kernel:
    verdict = identify(Fingerprint(banner=banner(distro, uname), arch=arch))
    assert verdict.kernel is not None, verdict.reason
    assert verdict.kernel.distro == distro
    return verdict.kernel


def asked(one: Kernel, *given: Source) -> list[str]:
    return [source.url.split("://", 1)[1] for source in catalog()[one.distro].sources(one, given)]


def test_a_minor_of_rhel_is_looked_for_in_its_longer_support_too() -> None:
    assert asked(kernel("rhel", "4.18.0-372.32.1.el8_6.x86_64")) == [
        "cdn.redhat.com/content/dist/rhel8/8/x86_64/baseos/debug",
        "cdn.redhat.com/content/eus/rhel8/8.6/x86_64/baseos/debug",
        "cdn.redhat.com/content/aus/rhel8/8.6/x86_64/baseos/debug",
        "cdn.redhat.com/content/e4s/rhel8/8.6/x86_64/baseos/debug",
        "cdn.redhat.com/content/tus/rhel8/8.6/x86_64/baseos/debug",
    ]


@pytest.mark.parametrize(
    ("uname", "arch", "places"),
    [
        ("2.6.18-371.el5", "i686", ["dist/rhel/server/5/5Server/i386/debug"]),
        ("2.6.32-754.el6.x86_64", None, ["els/rhel/server/6/6Server/x86_64/debug"]),
        ("3.10.0-693.el7.x86_64", None, ["eus/rhel/server/7/7.4/x86_64/debug"]),
        ("3.10.0-957.5.1.el7.ppc64le", None, ["dist/rhel/power-le/7/7Server/ppc64le/debug"]),
        ("4.14.0-115.el7a.aarch64", None, ["dist/rhel-alt/server/7/7Server/armv8-a/aarch64/debug"]),
        ("3.10.0-229.rt56.141.el7.x86_64", None, ["dist/rhel/server/7/7Server/x86_64/rt/debug"]),
        (
            "5.14.0-611.5.1.el9_7.x86_64+rt",
            None,
            ["dist/rhel9/9/x86_64/rt/debug", "dist/rhel9/9/x86_64/baseos/debug"],
        ),
        ("6.12.0-55.9.1.el10_0.x86_64", None, ["eus/rhel10/10.0/x86_64/baseos/debug"]),
    ],
)
def test_where_other_kernels_of_rhel_are(uname: str, arch: str | None, places: list[str]) -> None:
    found = asked(kernel("rhel", uname, arch))
    assert {f"cdn.redhat.com/content/{place}" for place in places} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("distro", "uname", "places"),
    [
        (
            "centos",
            "3.10.0-1160.el7.x86_64",
            ["debuginfo.centos.org/7/x86_64", "mirror.facebook.net/centos-debuginfo/7/x86_64"],
        ),
        (
            "centos-stream",
            "5.14.0-419.el9.x86_64",
            [
                "mirror.stream.centos.org/9-stream/BaseOS/x86_64/debug/tree",
                "kojihub.stream.centos.org/kojifiles/packages/kernel/5.14.0/419.el9/x86_64",
            ],
        ),
        (
            "rocky",
            "4.18.0-372.19.1.el8_6.x86_64",
            [
                "dl.rockylinux.org/pub/rocky/8/BaseOS/x86_64/debug/tree",
                "dl.rockylinux.org/vault/rocky/8.6/BaseOS/x86_64/debug/tree",
            ],
        ),
        (
            "alma",
            "5.14.0-427.35.1.el9_4.x86_64",
            [
                "repo.almalinux.org/almalinux/9/BaseOS/debug/x86_64",
                "vault.almalinux.org/9.4/BaseOS/debug/x86_64",
            ],
        ),
        ("oracle", "5.15.0-206.153.7.1.el8uek.x86_64", ["oss.oracle.com/ol8/debuginfo"]),
        (
            "fedora",
            "6.17.7-300.fc43.x86_64",
            [
                "dl.fedoraproject.org/pub/fedora/linux/releases/43/Everything/x86_64/debug/tree",
                "dl.fedoraproject.org/pub/fedora/linux/updates/43/Everything/x86_64/debug",
                "archives.fedoraproject.org/pub/archive/fedora/linux/releases/43/Everything/x86_64"
                "/debug/tree",
                "archives.fedoraproject.org/pub/archive/fedora/linux/updates/43/Everything/x86_64"
                "/debug",
                "kojipkgs.fedoraproject.org/packages/kernel/6.17.7/300.fc43/x86_64",
            ],
        ),
        (
            "amazon",
            "5.10.162-141.675.amzn2.x86_64",
            [
                "amazonlinux.us-east-1.amazonaws.com/2/core/latest/debuginfo/x86_64/mirror.list",
                "amazonlinux.us-east-1.amazonaws.com/2/extras/kernel-5.10/latest/debuginfo/x86_64"
                "/mirror.list",
            ],
        ),
    ],
)
def test_where_each_distribution_is_asked(distro: str, uname: str, places: list[str]) -> None:
    assert asked(kernel(distro, uname)) == places


def test_what_is_configured_comes_first_and_replaces_what_is_built_in() -> None:
    one = kernel("rhel", "4.18.0-305.el8.x86_64")
    cdn = "https://cdn.redhat.com/content/dist/rhel8/8/x86_64/baseos/debug/"
    satellite = Source(distro="*", kind="rpm-md", url="https://sat.example/debug", origin="a")
    own = Source(distro="rhel", kind="rpm-md", url=cdn, origin="b")
    others = [
        Source(distro="rocky", kind="rpm-md", url="https://r.example/debug"),
        Source(distro="*", kind="apt", url="https://d.example/debian"),
    ]
    found = catalog()["rhel"].sources(one, [*others, satellite, own])
    assert found[:2] == (satellite, own)
    assert [source.url.rstrip("/") for source in found].count(cdn.rstrip("/")) == 1
    assert all(source.origin == "built in" for source in found[2:])


@pytest.mark.parametrize(
    ("distro", "uname", "path", "kind", "name"),
    [
        ("rhel", "4.18.0-305.el8.x86_64", "lib/modules/{}/vmlinux", MemberKind.VMLINUX, "vmlinux"),
        (
            "rhel",
            "4.18.0-305.el8.x86_64",
            "usr/lib/modules/{}/kernel/net/nf-nat.ko.debug",
            MemberKind.MODULE,
            "nf_nat",
        ),
        ("oracle", "5.4.17-2136.1.el8uek.x86_64", "lib/modules/{}/a/xfs.ko.debug",
         MemberKind.MODULE, "xfs"),
        ("fedora", "6.8.7-300.fc40.x86_64+debug", "usr/lib/modules/{}/vmlinux",
         MemberKind.VMLINUX, "vmlinux"),
        ("photon", "6.12.60-14.ph5-rt", "lib/modules/{0}/vmlinux-{0}",
         MemberKind.VMLINUX, "vmlinux"),
    ],
)  # fmt: skip
def test_the_layout(distro: str, uname: str, path: str, kind: MemberKind, name: str) -> None:
    layout = catalog()[distro].layout(kernel(distro, uname))
    assert layout.classify(f"usr/lib/debug/{path.format(uname)}") == (kind, name)


def test_other_variants_of_the_package_and_stripped_files_are_not_wanted() -> None:
    layout = catalog()["rhel"].layout(kernel("rhel", "4.18.0-305.el8.x86_64"))
    for path in (
        "usr/lib/debug/lib/modules/4.18.0-305.el8.x86_64+debug/vmlinux",
        "usr/lib/debug/lib/modules/4.18.0-305.el8.x86_64/vmlinux.decompressor",
        "usr/lib/debug/lib/modules/4.18.0-305.el8.x86_64/vdso/vdso64.so.debug",
        "lib/modules/4.18.0-305.el8.x86_64/kernel/fs/xfs/xfs.ko.xz",
        "usr/lib/debug/.build-id/00/11.debug",
    ):
        assert layout.classify(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "usr/src/debug/kernel-4.18.0-305.el8/linux-4.18.0-305.el8.x86_64/fs/xfs/xfs_super.c",
        "usr/src/debug/kernel-2.6.18/linux-2.6.18.x86_64/fs/xfs/xfs_super.c",
        "usr/src/debug/kernel-6.8.7/linux-6.8.7-300.fc40.x86_64/fs/xfs/xfs_super.c",
    ],
)
def test_sources_are_plain_files(path: str) -> None:
    layout = catalog()["rhel"].layout(kernel("rhel", "4.18.0-305.el8.x86_64"))
    assert layout.classify(path) == (MemberKind.SOURCE_FILE, "xfs_super.c")


@pytest.mark.parametrize(
    ("uname", "differs"),
    [
        ("4.1.12-124.92.3.el7uek.x86_64", True),
        ("4.14.35-2047.537.2.1.el7uek.x86_64", True),
        ("4.14.35-2047.537.3.el7uek.x86_64", False),
        ("5.4.17-2136.310.7.1.el8uek.x86_64", True),
        ("5.4.17-2136.332.2.el8uek.x86_64", False),
        ("5.15.0-206.153.7.1.el8uek.x86_64", False),
        ("4.18.0-477.10.1.el8_8.x86_64", False),
    ],
)
def test_oracle_kernels_whose_build_ids_differ(uname: str, differs: bool) -> None:
    assert catalog()["oracle"].build_id_differs(kernel("oracle", uname)) is differs
    assert not catalog()["rhel"].build_id_differs(kernel("rhel", "4.18.0-305.el8.x86_64"))


PIECES = st.sampled_from(
    ["4.18.0", "-305", ".el8", "_4", ".x86_64", ".rt7.1", "+debug", ".0.1", ".EL", "smp", ".el5",
     "uek", ".fc40", ".amzn2", ".ph5", "-esx", "2.6.9", "2.6.18", "_FC5", ".centos.plus"]
)  # fmt: skip
WORDS = st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join)


@given(WORDS, st.sampled_from([*HOSTS.values(), "root@box", "mockbuild@1.2.3.4"]), WORDS)
@example(f"4.18.0-{'1.' * 80}1.el8.x86_64", "mockbuild@1.2.3.4", "")
@example(f"5.15.0-{'1.' * 80}1.el8uek.x86_64", "mockbuild@1.2.3.4", "")
@example("2.6.18-371.el5", "mockbuild@x86-012.build.bos.redhat.com", "../../etc")
@example("6.12.60-14.ph5", "root@photon", "x" * 200)
def test_no_fingerprint_makes_it_fail(release: str, builder: str, machine: str) -> None:
    for shown in (
        Fingerprint(release=release, machine=machine),
        Fingerprint(
            banner=f"Linux version {release} ({builder}) (gcc (Red Hat 1) 1) #1 SMP {machine}"
        ),
        Fingerprint(banner=f"Linux version {release} ({builder}", arch=machine),
    ):
        verdict = identify(shown)
        for one in filter(None, (verdict.kernel, *verdict.possible)):
            distro = catalog()[one.distro]
            assert distro.packages(one) or one.release in ("2", "3")
            assert distro.sources(one, ()) is not None
            assert distro.layout(one).vmlinux


@pytest.mark.parametrize("distro", sorted(HOSTS))
def test_a_rebuild_with_the_same_name_is_not_taken_for_the_real_one(distro: str) -> None:
    names = {"centos": "3.10.0-1160.el7.x86_64", "fedora": "6.8.7-300.fc40.x86_64",
             "amazon": "4.14.256-197.484.amzn2.x86_64", "photon": "6.12.60-14.ph5",
             "centos-stream": "5.14.0-419.el9.x86_64"}  # fmt: skip
    genuine = banner(distro, names.get(distro, "4.18.0-477.10.1.el8_8.x86_64"))
    verdict = identify(Fingerprint(banner=genuine))
    assert verdict.kernel is not None and verdict.kernel.distro == distro
    for builder in ("root@localhost", "me@laptop", "mockbuild@laptop"):
        rebuilt = genuine.replace(HOSTS[distro], builder)
        assert identify(Fingerprint(banner=rebuilt)).outcome is Outcome.UNSUPPORTED


def test_the_others_say_why_they_are_not_meant() -> None:
    verdict = identify(Fingerprint(banner=banner("rocky", "4.18.0-477.10.1.el8_8.x86_64")))
    rejected = dict(verdict.rejected)
    assert set(rejected) == {"rhel", "centos", "centos-stream", "alma", "oracle"}
    assert all("is a build host of Rocky Linux" in reason for reason in rejected.values())


def test_five_hundred_banners_are_judged_in_no_time() -> None:
    shown = Fingerprint(banner=banner("rhel", "4.18.0-305.el8.x86_64"))
    identify(shown)
    began = time.perf_counter()
    for _ in range(500):
        identify(shown)
    assert time.perf_counter() - began < 0.9  # 0.5 s for 275 is what is demanded
