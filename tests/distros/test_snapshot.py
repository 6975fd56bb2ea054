"""snapshot.debian.org's answers, and folders of packages."""

from __future__ import annotations

import contextlib
import json
import lzma
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import CouldNotFindOut, Kernel, Package, Refused, Role, Source, catalog
from kernsym.distros.formats import listing
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.snapshot import parse_binfiles
from tests.distros.recorded import KEY, Recorded, release

NAME, VERSION = "linux-image-6.1.0-21-amd64-dbg", "6.1.90-1"
FILE = f"{NAME}_{VERSION}_amd64.deb"
PACKAGE = Package(role=Role.DEBUGINFO, id=FILE, name=NAME, version=VERSION, arch="amd64")
KERNEL = Kernel(
    distro="debian",
    release="12",
    arch="x86_64",
    uname="6.1.0-21-amd64",
    flavour="amd64",
    version=VERSION,
)
SHA1, SHA256 = "2ee9caba092c6e95ac73c886d04b83af7559b2df", "c" * 64
BASE = "https://snapshot.debian.org"
SOURCE = Source(distro="debian", kind="snapshot", url=BASE, signature="if-present")
ANSWER_AT = f"{BASE}/mr/binary/{NAME}/{VERSION}/binfiles?fileinfo=1"

# The form of an answer; the interface's own description says the same.
ANSWER = {
    "_comment": "notset",
    "binary": NAME,
    "binary_version": VERSION,
    "result": [{"architecture": "amd64", "hash": SHA1}],
    "fileinfo": {
        SHA1: [
            {
                "archive_name": "debian-security",
                "first_seen": "20240506T152245Z",
                "name": FILE,
                "path": "/pool/updates/main/l/linux",
                "size": 812345678,
            }
        ]
    },
}
MOMENT = f"{BASE}/archive/debian-security/20240506T152245Z"
SUITE = f"{MOMENT}/dists/bookworm-security"
STANZA = f"""\
Package: {NAME}
Version: {VERSION}
Architecture: amd64
Filename: pool/updates/main/l/linux/{FILE}
Size: 812345678
SHA256: {SHA256}
"""


def snapshots() -> dict[str, bytes]:
    packed = lzma.compress(STANZA.encode())
    path = "main/binary-amd64/Packages.xz"
    return {
        ANSWER_AT: json.dumps(ANSWER).encode(),
        f"{SUITE}/InRelease": release({path: packed}, by_hash=False),
        f"{SUITE}/{path}": packed,
    }


def locate(fetch: Recorded, source: Source = SOURCE) -> object:
    return catalog()["debian"].locate(PACKAGE, KERNEL, source, fetch)


def test_the_digest_comes_from_the_signed_index_of_that_day() -> None:
    found = catalog()["debian"].locate(PACKAGE, KERNEL, SOURCE, Recorded(snapshots()))
    assert found is not None
    assert found.url == f"{BASE}/file/{SHA1}"
    assert (found.sha256, found.sha1, found.size) == (SHA256, SHA1, 812345678)
    assert found.signed_by == KEY
    assert "20240506T152245Z bookworm-security" in found.origin


def test_where_no_index_lists_it_the_name_is_the_digest_and_it_says_so() -> None:
    fetch = Recorded({ANSWER_AT: snapshots()[ANSWER_AT]})
    found = catalog()["debian"].locate(PACKAGE, KERNEL, SOURCE, fetch)
    assert found is not None
    assert (found.sha256, found.sha1, found.size) == (None, SHA1, 812345678)
    assert found.signed_by is None
    assert "not signed" in found.why


def test_a_signature_that_is_accepted_no_more_is_like_none() -> None:
    fetch = Recorded(snapshots(), unsigned=(f"{SUITE}/InRelease",))
    found = catalog()["debian"].locate(PACKAGE, KERNEL, SOURCE, fetch)
    assert found is not None
    assert (found.sha256, found.signed_by) == (None, None)


def test_a_source_that_demands_a_signature_gets_no_unsigned_digest() -> None:
    strict = replace(SOURCE, signature="require")
    with pytest.raises(CouldNotFindOut) as unsure:
        locate(Recorded({ANSWER_AT: snapshots()[ANSWER_AT]}), strict)
    assert unsure.value.code == "digest-unsigned"
    with pytest.raises(Refused):
        locate(Recorded(snapshots(), unsigned=(f"{SUITE}/InRelease",)), strict)


def test_a_broken_index_of_that_day_is_not_passed_over() -> None:
    pages = snapshots()
    pages[f"{SUITE}/main/binary-amd64/Packages.xz"] = b"something else"
    with pytest.raises(Refused) as refused:
        locate(Recorded(pages))
    assert refused.value.code == "digest-mismatch"


def test_none_when_the_snapshots_never_saw_it() -> None:
    assert locate(Recorded({})) is None
    other = json.dumps(ANSWER).replace("_amd64.deb", "_i386.deb").encode()
    assert locate(Recorded({ANSWER_AT: other})) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"fileinfo": []}', b"[" * 9999])
def test_an_unreadable_answer_says_nothing(body: bytes) -> None:
    with pytest.raises(CouldNotFindOut) as unsure:
        locate(Recorded({ANSWER_AT: body}))
    assert unsure.value.code == "index-unreadable"


@pytest.mark.parametrize(
    "row",
    [None, {}, {"name": FILE}, {"name": FILE, "size": "1"}, {"name": f"../{FILE}", "size": 1}],
)
def test_entries_that_make_no_sense_are_left_out(row: object) -> None:
    assert parse_binfiles(json.dumps({"fileinfo": {SHA1: [row]}}).encode()) == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


@given(st.binary(max_size=99) | JSON.map(lambda value: json.dumps({"fileinfo": value}).encode()))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(FormatError):
        parse_binfiles(body)


HTML = b"""<html><body><a href="../">Parent</a> <a href="?C=M;O=A">Date</a>
<a href="linux-image-6.12.94%2Bdeb13-amd64-dbg_6.12.94-1_amd64.deb">linux-image..&gt;</a>
<A HREF='./linux-source-6.12_6.12.94-1%7Ebpo12%2b1_all.deb'>x</A></body></html>"""


def test_the_names_of_a_web_page() -> None:
    assert listing.names_in(HTML) == (
        "../",
        "linux-image-6.12.94+deb13-amd64-dbg_6.12.94-1_amd64.deb",
        "linux-source-6.12_6.12.94-1~bpo12+1_all.deb",
    )


@pytest.mark.parametrize("base", ["file:///srv/debs", "http://mirror.example/debs/"])
def test_a_folder_of_packages(base: str) -> None:
    folder = Source(distro="debian", kind="directory", url=base)
    fetch = Recorded({f"{base.rstrip('/')}/": f"other.deb\n{FILE}\n".encode()})
    found = catalog()["debian"].locate(PACKAGE, KERNEL, folder, fetch)
    assert found is not None
    assert found.url == f"{base.rstrip('/')}/{FILE}"
    assert (found.sha256, found.signed_by) == (None, None)


def test_a_folder_without_the_package() -> None:
    folder = Source(distro="debian", kind="directory", url="file:///srv/debs")
    for pages in ({}, {"file:///srv/debs/": f"{FILE}.part\n".encode()}):
        assert catalog()["debian"].locate(PACKAGE, KERNEL, folder, Recorded(pages)) is None
