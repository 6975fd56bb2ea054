"""apt's two ways to write sources, and what becomes of them for a kernel."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import Source
from kernsym.distros.formats.apt_archive import mirrors, unique
from kernsym.distros.formats.apt_sources import parse_deb822, parse_one_line

KEYRING = "/usr/share/keyrings/example.gpg"

DEB822 = f"""\
Types: deb
# the release itself
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: {KEYRING}

Types: deb deb-src
URIs: http://security.example/debian-security
Suites: bookworm-security
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
"""

ARMOURED = """\
Types: deb
URIs: https://third.example/apt
Suites: bookworm
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 mDMEZQ==
 -----END PGP PUBLIC KEY BLOCK-----
"""


def named(sources: tuple[Source, ...]) -> list[tuple[str, str, str]]:
    return [(source.url, source.suite, source.component) for source in sources]


def test_deb822() -> None:
    sources = parse_deb822(DEB822, "debian.sources")
    assert named(sources) == [
        ("http://mirror.example/debian", "bookworm", "main"),
        ("http://mirror.example/debian", "bookworm", "contrib"),
        ("http://mirror.example/debian", "bookworm-updates", "main"),
        ("http://mirror.example/debian", "bookworm-updates", "contrib"),
        ("http://security.example/debian-security", "bookworm-security", "main"),
    ]
    assert sources[0].signed_by == (KEYRING,)
    assert sources[4].signed_by == ()
    assert {(one.distro, one.kind, one.signature, one.origin) for one in sources} == {
        ("*", "apt", "require", "debian.sources")
    }


def test_an_embedded_key() -> None:
    (source,) = parse_deb822(ARMOURED, "third.sources")
    assert source.signed_by == (
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEZQ==\n-----END PGP PUBLIC KEY BLOCK-----",
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://m.example/debian bookworm main", [("http://m.example/debian", "main")]),
        ("  deb\thttp://m.example/d  sid main # words", [("http://m.example/d", "main")]),
        ("deb file:/srv/debian sid main", [("file:///srv/debian", "main")]),
        ("deb http://m.example/flat ./", [("http://m.example/flat", "")]),
        ("deb-src http://m.example/debian bookworm main", []),
        ("# deb http://m.example/debian bookworm main", []),
        ("deb cdrom:[Debian 12]/ bookworm main", []),
        ("deb mirror+file:/etc/apt/mirrors.list bookworm main", []),
        ("deb http://m.example/debian", []),
        ("debris", []),
    ],
)
def test_one_line(line: str, expected: list[tuple[str, str]]) -> None:
    assert [(one.url, one.component) for one in parse_one_line(line, "sources.list")] == expected


def test_the_options_of_one_line() -> None:
    (source,) = parse_one_line(
        f"deb [ arch=amd64 signed-by={KEYRING},/etc/apt/other.asc ] http://m.example/d sid main", ""
    )
    assert (source.signed_by, source.signature) == ((KEYRING, "/etc/apt/other.asc"), "require")
    (source,) = parse_one_line("deb [trusted=yes] http://m.example/d sid main", "")
    assert source.signature == "skip"


@given(st.text(max_size=300))
def test_no_text_makes_them_fail(text: str) -> None:
    parse_one_line(f"deb {text}", "x")
    parse_deb822(f"Types: deb\n{text}", "x")


def expand(*given_sources: Source) -> list[tuple[str, str]]:
    found = mirrors(
        given_sources,
        distro="debian",
        ours={"bookworm", "trixie"},
        usual=("bookworm", "bookworm-updates"),
        security=("bookworm-security",),
        keyring=KEYRING,
    )
    return [(source.url[7:], source.suite) for source in unique(found)]


def test_mirrors_of_the_machine_are_asked_for_more_suites() -> None:
    machine = parse_one_line(
        """
        deb http://a.example trixie main
        deb http://a.example bookworm main
        deb http://s.example bookworm-security main
        deb http://third.example nodistro main
        """,
        "sources.list",
    )
    assert expand(*machine) == [
        ("s.example", "bookworm-security"),
        ("a.example", "bookworm"),
        ("a.example", "bookworm-updates"),
        ("a.example", "trixie"),
    ]


def test_a_configured_source_stays_first_and_as_it_is() -> None:
    (machine,) = parse_one_line("deb http://a.example bookworm main", "sources.list")
    folder = Source(distro="debian", kind="directory", url="file:///srv/debs")
    bare = Source(distro="debian", kind="apt", url="http://c.example")
    odd = Source(distro="debian", kind="apt", url="http://o.example", suite="our-suite")
    assert expand(odd, folder, bare, machine)[:5] == [
        ("o.example", "our-suite"),
        ("/srv/debs", ""),
        ("c.example", "bookworm-security"),
        ("c.example", "bookworm"),
        ("c.example", "bookworm-updates"),
    ]


def test_a_guess_may_be_signed_by_the_distribution_too() -> None:
    line = "deb [signed-by=/etc/apt/one.asc] http://a.example bookworm main"
    found = list(
        mirrors(
            parse_one_line(line, ""),
            distro="debian",
            ours={"bookworm"},
            usual=("bookworm", "bookworm-updates"),
            security=(),
            keyring=KEYRING,
        )
    )
    by_suite = {source.suite: source.signed_by for source in unique(found)}
    assert by_suite["bookworm"] == ("/etc/apt/one.asc",)
    assert by_suite["bookworm-updates"] == ("/etc/apt/one.asc", KEYRING)
    assert {source.distro for source in found} == {"debian"}
