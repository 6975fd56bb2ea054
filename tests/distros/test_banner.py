"""The banner's grammar, from clean lines of dumps to what people paste."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import find_banner

CLEAN = (
    "Linux version 6.1.0-21-arm64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) "
    "12.2.0, GNU ld (GNU Binutils for Debian) 2.40) #1 SMP Debian 6.1.90-1 (2024-05-03)"
)
NESTED = (
    "Linux version 2.6.32-504.8.1.el6.x86_64 (mockbuild@x86-002.build.bos.redhat.com) (gcc version "
    "4.4.7 20120313 (Red Hat 4.4.7-9) (GCC) ) #1 SMP Fri Dec 19 12:09:25 EST 2014"
)


def test_the_fields_of_a_clean_line() -> None:
    banner = find_banner(CLEAN)
    assert banner is not None
    assert banner.raw == CLEAN
    assert banner.release == "6.1.0-21-arm64"
    assert banner.builder == "debian-kernel@lists.debian.org"
    assert banner.compiler == (
        "gcc-12 (Debian 12.2.0-14) 12.2.0, GNU ld (GNU Binutils for Debian) 2.40"
    )
    assert banner.version == "#1 SMP Debian 6.1.90-1 (2024-05-03)"
    assert (banner.mark, banner.trailer, banner.complete) == ("", "", True)


def test_nested_parentheses_are_counted() -> None:
    banner = find_banner(NESTED)
    assert banner is not None
    assert banner.compiler == "gcc version 4.4.7 20120313 (Red Hat 4.4.7-9) (GCC)"
    assert banner.version == "#1 SMP Fri Dec 19 12:09:25 EST 2014"


def test_the_mark_before_the_builder() -> None:
    banner = find_banner(
        "Linux version 2.6.32-5-amd64 (Debian 2.6.32-48squeeze6) (jmm@debian.org) "
        "(gcc version 4.3.5 (Debian 4.3.5-4) ) #1 SMP Tue May 13 16:34:35 UTC 2014"
    )
    assert banner is not None
    assert (banner.mark, banner.builder) == ("Debian 2.6.32-48squeeze6", "jmm@debian.org")


def test_the_trailer_is_not_part_of_the_version() -> None:
    banner = find_banner(
        "Linux version 5.15.0-91-generic (buildd@lcy02-amd64-024) (gcc (Ubuntu 11.4.0) 11.4.0) "
        "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023 (Ubuntu 5.15.0-91.101-generic 5.15.131)"
    )
    assert banner is not None
    assert banner.version == "#101-Ubuntu SMP Tue Nov 14 13:30:08 UTC 2023"
    assert banner.trailer == "Ubuntu 5.15.0-91.101-generic 5.15.131"


def test_a_short_hash_at_the_end_is_part_of_the_version() -> None:
    banner = find_banner(
        "Linux version 4.4.73-7-default (geeko@buildhost) (gcc) #1 SMP x (6beeafd)"
    )
    assert banner is not None
    assert banner.version == "#1 SMP x (6beeafd)"


@pytest.mark.parametrize(
    "prefix",
    [
        "[    0.000000] ",
        "<5>[    0.000000] ",
        "Jan  2 16:17:47 local kernel: ",
        "Nov 03 21:17:10 host kernel[1623]:  ",
        "2024-11-26T19:58:46+0000: System info: ",
        "OS: ",
        "\x1b[1;32m",
        "\0\0\0",
    ],
)
def test_what_stands_before_it_is_skipped(prefix: str) -> None:
    banner = find_banner(prefix + CLEAN)
    assert banner is not None
    assert banner.raw == CLEAN


@pytest.mark.parametrize(
    "pasted",
    [
        CLEAN.replace("Linux version", "Linux (version"),
        CLEAN.replace("Linux version ", "Linuxversion"),
        CLEAN.replace("arm64 (", "arm64("),
        CLEAN.replace(" ", "   "),
        CLEAN.replace("12.2.0, ", "12.2.0,\n"),
        CLEAN.replace("12.2.0, ", "12.2.0,\r\n> "),
        CLEAN.replace("Binutils", "Bin=\nutils"),
        CLEAN.replace(" #1", "=20#1"),
        CLEAN.replace("lists.debian.org", "[url]lists.debian.org[/url]"),
        CLEAN.replace("Linux version", "<b>Linux version</b>"),
        CLEAN.replace(" (gcc", "&nbsp;&#40;gcc"),
        CLEAN + "\nCommand line: quiet #7 SMP",
        CLEAN + "\0residue",
    ],
)
def test_pasted_text_is_straightened(pasted: str) -> None:
    banner, clean = find_banner(pasted), find_banner(CLEAN)
    assert banner is not None and clean is not None
    for field in ("release", "builder", "compiler", "version"):
        assert getattr(banner, field) == getattr(clean, field)


def test_a_record_behind_a_cut_banner_is_not_its_rest() -> None:
    banner = find_banner("[ 0.0] Linux version 6.1 (a@b) (gcc)\n[    0.1] IRQ #1 SMP 2024")
    assert banner is not None
    assert banner.version == ""


@pytest.mark.parametrize(
    ("cut", "compiler", "version"),
    [
        ("Linux version 4.20.0 (mockbuild@Build64R7) ", "", ""),
        ("Linux version 5.4.17 (a@b) (gcc versio>", "gcc versio>", ""),
        ("Linux version 4.18.0 (a@b) (gcc (GCC) 8.2 #1 SMP Wed", "gcc (GCC) 8.2", "#1 SMP Wed"),
    ],
)
def test_a_cut_line_keeps_what_it_has(cut: str, compiler: str, version: str) -> None:
    banner = find_banner(cut)
    assert banner is not None
    assert (banner.compiler, banner.version, banner.complete) == (compiler, version, bool(version))


@pytest.mark.parametrize("text", ["", "Linux version %s (%s@%s)", "Linux 6.1.0", "version 6.1.0"])
def test_what_is_not_a_banner(text: str) -> None:
    assert find_banner(text) is None


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_makes_it_fail(before: str, after: str) -> None:
    banner = find_banner(f"{before}Linux version 5.1{after}")
    if "\0" not in before and banner is not None:
        assert banner.release


@given(st.text(alphabet="()#[]<=>&;\n\0 Linuxversion0123456789.@", max_size=400))
def test_no_soup_of_its_own_characters_makes_it_fail(text: str) -> None:
    find_banner(text)


@pytest.mark.parametrize("piece", ["(", "()", "( ", "<", "<a", "[b", "=", " ", "Linux ", "#1 ("])
def test_a_hostile_line_is_read_in_no_time(piece: str) -> None:
    start = time.process_time()
    find_banner("Linux" + piece * 100_000)
    find_banner("Linux version 1.0 " + piece * 100_000)
    assert time.process_time() - start < 1
