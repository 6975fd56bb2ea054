"""Launchpad's answers, and finding one package through them."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import CouldNotFindOut, Package, Role, Source
from kernsym.distros.formats import launchpad
from kernsym.distros.formats.apt import FormatError
from tests.distros.recorded import Recorded

NAME, VERSION = "linux-image-unsigned-5.15.0-91-generic-dbgsym", "5.15.0-91.101~20.04.1"
FILE = f"{NAME}_{VERSION}_amd64.ddeb"
PACKAGE = Package(role=Role.DEBUGINFO, id=FILE, name=NAME, version=VERSION, arch="amd64")
ARCHIVE = "https://api.launchpad.net/devel/ubuntu/+archive/primary"
SOURCE = Source(distro="ubuntu", kind="launchpad", url=ARCHIVE, signature="if-present")
ASKED = (
    f"{ARCHIVE}?ws.op=getPublishedBinaries&binary_name={NAME}&version={VERSION}&exact_match=true"
)
SERIES = "https://api.launchpad.net/devel/ubuntu/focal"


def entry(port: str, number: int, **other: object) -> dict[str, object]:
    """A publication, with the fields that are looked at."""
    return {
        "self_link": f"{ARCHIVE}/+binarypub/{number}",
        "binary_package_name": NAME,
        "binary_package_version": VERSION,
        "distro_arch_series_link": f"{SERIES}/{port}",
        "architecture_specific": True,
        "status": "Superseded",
        **other,
    }


def answer(*entries: object) -> bytes:
    return json.dumps({"start": 0, "total_size": len(entries), "entries": entries}).encode()


def files(number: int, *rows: object) -> dict[str, bytes]:
    url = f"{ARCHIVE}/+binarypub/{number}?ws.op=binaryFileUrls&include_meta=true"
    return {url: json.dumps(rows).encode()}


ROW = {
    "url": f"https://launchpad.net/ubuntu/+archive/primary/+files/{FILE.replace('~', '%7E')}",
    "size": 1018283208,
    "sha1": "a" * 40,
    "sha256": "b" * 64,
}


def test_the_publication_of_the_processor_and_its_file() -> None:
    pages = {ASKED: answer(entry("arm64", 1), entry("amd64", 2)), **files(2, ROW)}
    found = launchpad.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64")
    assert found is not None
    assert (found.url, found.size) == (ROW["url"], ROW["size"])
    assert (found.sha256, found.sha1) == (ROW["sha256"], ROW["sha1"])
    assert found.signed_by is None
    assert found.package == PACKAGE


def test_a_processor_that_is_not_known_becomes_the_found_one() -> None:
    wide = Package(
        role=Role.DEBUGINFO, id=f"{NAME}_{VERSION}_*.ddeb", name=NAME, version=VERSION, arch="*"
    )
    pages = {ASKED: answer(entry("amd64", 2)), **files(2, ROW)}
    found = launchpad.locate(wide, SOURCE, Recorded(pages), port="*")
    assert found is not None
    assert found.package == PACKAGE


def test_a_package_for_all_processors() -> None:
    pages = {ASKED: answer(entry("i386", 3, architecture_specific=False)), **files(3, ROW)}
    assert launchpad.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64") is not None


@pytest.mark.parametrize(
    "pages",
    [
        {},
        {ASKED: answer()},
        {ASKED: answer(entry("arm64", 1)), **files(1, ROW)},
        {ASKED: answer(entry("amd64", 2, binary_package_version="5.15.0-91.101")), **files(2, ROW)},
        {ASKED: answer(entry("amd64", 2))},
        {ASKED: answer(entry("amd64", 2)), **files(2)},
        {ASKED: answer(entry("amd64", 2)), **files(2, {**ROW, "url": "https://x.example/other"})},
    ],
)
def test_none_when_it_was_never_published(pages: dict[str, bytes]) -> None:
    assert launchpad.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64") is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"entries": 1}', b"[" * 9999])
def test_an_unreadable_answer_says_nothing(body: bytes) -> None:
    with pytest.raises(CouldNotFindOut) as unsure:
        launchpad.locate(PACKAGE, SOURCE, Recorded({ASKED: body}), port="amd64")
    assert unsure.value.code == "index-unreadable"


def test_an_answer_that_leads_to_another_host_is_not_followed() -> None:
    elsewhere = entry("amd64", 2, self_link="https://api.launchpad.net.example/devel/1")
    fetch = Recorded({ASKED: answer(elsewhere)})
    with pytest.raises(CouldNotFindOut):
        launchpad.locate(PACKAGE, SOURCE, fetch, port="amd64")
    assert fetch.asked == [ASKED]


def test_a_plus_is_escaped() -> None:
    address = launchpad.binaries_url(ARCHIVE, "linux", "5.4.0-1021.24+fips1")
    assert "version=5.4.0-1021.24%2Bfips1&" in address


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


@given(st.binary(max_size=99) | JSON.map(lambda value: json.dumps({"entries": [value]}).encode()))
def test_no_bytes_make_it_fail_otherwise(body: bytes) -> None:
    with contextlib.suppress(FormatError):
        launchpad.parse_files(body)
    with contextlib.suppress(FormatError):
        launchpad.parse_binaries(body, archive=ARCHIVE, name=NAME, version=VERSION, port="*")
