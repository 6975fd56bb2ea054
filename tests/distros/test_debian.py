"""Where Debian's kernels are looked for, and how their packages are laid out."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kernsym.distros import Fingerprint, Kernel, MemberKind, Source, catalog, identify
from kernsym.distros.formats.apt_sources import parse_one_line

DEBIAN = catalog()["debian"]


def kernel(uname: str, version: str) -> Kernel:
    verdict = identify(Fingerprint(release=uname, version=f"#1 SMP Debian {version} (2024-05-03)"))
    assert verdict.kernel is not None, verdict.reason
    return verdict.kernel


def asked(one: Kernel, *machine: Source) -> list[str]:
    return [source.place for source in DEBIAN.sources(one, machine)]


def test_a_stable_kernel_is_looked_for_in_its_suites() -> None:
    assert asked(kernel("6.1.0-21-amd64", "6.1.90-1")) == [
        "security.debian.org/debian-security bookworm-security",
        "ftp.debian.org/debian bookworm",
        "ftp.debian.org/debian bookworm-updates",
        "ftp.debian.org/debian bookworm-proposed-updates",
        "debug.mirrors.debian.org/debian-debug bookworm-debug",
        "snapshot.debian.org",
    ]


def test_the_machine_comes_before_the_built_in_hosts() -> None:
    machine = parse_one_line("deb http://m.example/debian bookworm main contrib", "sources.list")
    places = asked(kernel("6.1.0-21-amd64", "6.1.90-1"), *machine)
    assert places[:4] == [
        "m.example/debian bookworm",
        "m.example/debian bookworm-updates",
        "m.example/debian bookworm-proposed-updates",
        "security.debian.org/debian-security bookworm-security",
    ]
    origins = [s.origin for s in DEBIAN.sources(kernel("6.1.0-21-amd64", "6.1.90-1"), machine)]
    assert origins == ["sources.list"] * 3 + ["built in"] * 6


@pytest.mark.parametrize(
    ("uname", "version", "first"),
    [
        ("6.12.12+bpo-amd64", "6.12.12-1~bpo12+1", "ftp.debian.org/debian bookworm-backports"),
        ("7.3-amd64", "7.3~rc7-1~exp1", "ftp.debian.org/debian experimental"),
        ("7.2.13+deb14-amd64", "7.2.13-1", "security.debian.org/debian-security forky-security"),
        ("5.19.0-1-amd64", "5.19.6-1", "snapshot.debian.org"),
        ("3.18.0-trunk-amd64", "3.18.5-1~exp1", "snapshot.debian.org"),
        ("3.2.0-4-amd64", "3.2.68-1", "archive.debian.org/debian-security wheezy/updates"),
    ],
)
def test_where_other_kernels_are_looked_for_first(uname: str, version: str, first: str) -> None:
    places = asked(kernel(uname, version))
    assert places[0] == first
    assert places[-1] == "snapshot.debian.org"


def test_retired_keys_are_good_for_archived_suites_only() -> None:
    found = DEBIAN.sources(kernel("5.10.0-21-amd64", "5.10.162-1"), ())
    retired = {s.url.split("/")[2] for s in found if any("removed" in key for key in s.signed_by)}
    assert retired == {"archive.debian.org", "snapshot.debian.org"}


def test_nothing_is_asked_twice() -> None:
    machine = parse_one_line("deb http://ftp.debian.org/debian/ bookworm main", "sources.list")
    places = asked(kernel("6.1.0-21-amd64", "6.1.90-1"), *machine)
    assert len(places) == len(set(places))


@pytest.mark.parametrize(
    ("path", "kind", "name"),
    [
        ("usr/lib/debug/boot/vmlinux-6.12.9+deb13-amd64", MemberKind.VMLINUX, "vmlinux"),
        (
            "usr/lib/debug/lib/modules/6.12.9+deb13-amd64/vmlinux",
            MemberKind.VMLINUX,
            "vmlinux",
        ),
        (
            "usr/lib/debug/lib/modules/6.12.9+deb13-amd64/kernel/fs/xfs/xfs.ko",
            MemberKind.MODULE,
            "xfs",
        ),
        (
            "usr/lib/debug/usr/lib/modules/6.12.9+deb13-amd64/kernel/sound/snd-hda-intel.ko.zst",
            MemberKind.MODULE,
            "snd_hda_intel",
        ),
        (
            "usr/lib/debug/boot/System.map-6.12.9+deb13-amd64",
            MemberKind.SYSTEM_MAP,
            "System.map-6.12.9+deb13-amd64",
        ),
        (
            "usr/src/linux-source-6.12.tar.xz",
            MemberKind.SOURCE_ARCHIVE,
            "linux-source-6.12.tar.xz",
        ),
    ],
)
def test_the_layout(path: str, kind: MemberKind, name: str) -> None:
    layout = DEBIAN.layout(kernel("6.12.9+deb13-amd64", "6.12.9-1"))
    assert layout.classify(path) == (kind, name)
    assert layout.source_root == "usr/src/linux-source-6.12"


@pytest.mark.parametrize(
    "path",
    [
        "usr/lib/debug/boot/vmlinux-6.12.9+deb13-amd64.gz",
        "usr/lib/debug/boot/vmlinux-6.12.9_deb13-amd64",
        "usr/lib/debug/lib/modules/6.12.8-amd64/kernel/fs/xfs/xfs.ko",
        "usr/share/doc/linux-source-6.12/copyright",
        "usr/src/linux-patch-6.12-rt.patch.xz",
    ],
)
def test_what_is_not_wanted(path: str) -> None:
    layout = DEBIAN.layout(kernel("6.12.9+deb13-amd64", "6.12.9-1"))
    assert layout.classify(path) is None


def test_a_banner_of_another_kernel_in_memory_is_left_out() -> None:
    other = (
        "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) "
        "12.2.0) #1 SMP Debian 6.1.76-1 (2024-02-01)"
    )
    note = "OSRELEASE=6.1.0-21-amd64\nBUILD-ID=00\n"
    assert identify(Fingerprint(banner=other)).kernel is not None
    assert identify(Fingerprint(banner=other, release="6.1.0-21-amd64")).kernel is None
    verdict = identify(Fingerprint(banner=other, vmcoreinfo=note))
    assert (verdict.kernel, verdict.candidates) == (None, ("debian",))


def test_the_format_string_in_an_image_is_no_release() -> None:
    assert identify(Fingerprint(vmcoreinfo="OSRELEASE=%s\n")).outcome.value == "unknown"


PIECES = st.sampled_from(
    [
        "6.1",
        ".0",
        "-21",
        "-amd64",
        "+deb13",
        "Debian ",
        "-1",
        "~bpo12+1",
        "+deb12u1",
        "#1 SMP ",
        "~",
    ]
)
WORDS = st.lists(PIECES | st.text(max_size=3), max_size=9).map("".join)


@given(WORDS, WORDS, WORDS)
@example("6.1.0-21-amd64", f"#1 SMP Debian 6.1.{'9' * 200}-1", "")
@example(f"6.1.0-{'2' * 200}-amd64", "#1 SMP Debian 6.1.90-1", "")
@example("6.1.0-21-amd64", "#1 SMP Debian 6.1.90-1~bpo99999999+1", "")
def test_no_fingerprint_makes_it_fail(release: str, version: str, banner: str) -> None:
    for shown in (
        Fingerprint(release=release, version=version),
        Fingerprint(banner=f"Linux version {release} (a@b) (gcc) {version}", vmcoreinfo=banner),
    ):
        verdict = identify(shown)
        if verdict.kernel is not None:
            assert DEBIAN.packages(verdict.kernel)
            assert DEBIAN.sources(verdict.kernel, ())
            assert DEBIAN.layout(verdict.kernel).source_root
