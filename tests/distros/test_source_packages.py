"""Debian source packages: found in archives, folders and at Launchpad, with all their files."""

from __future__ import annotations

import json
import lzma

import pytest

from kernsym.distros import CouldNotFindOut, PackageRef, Refused, Source
from kernsym.distros.formats import source_packages
from tests.distros.recorded import KEY, Recorded, digest, release
from tests.source_package_writer import source_package, sources_list

NAME, VERSION = "linux-aws-5.15", "5.15.0-1051.56~20.04.1"
ORIG, DIFF = f"{NAME}_5.15.0.orig.tar.gz", f"{NAME}_{VERSION}.diff.gz"
FILES = source_package(NAME, VERSION, {"a": b"a\n"}, {"a": b"b\n"})
PACKAGE = source_packages.named(NAME, VERSION)
POOL = "pool/main/l/linux-aws-5.15"
ARCHIVE = Source(distro="ubuntu", kind="apt", url="http://m.example/u", suite="focal-updates")
FOLDER = Source(distro="ubuntu", kind="directory", url="file:///srv/sources")
LAUNCHPAD = Source(distro="ubuntu", kind="launchpad", url="https://api.example/devel/ubuntu/+a/p")
ASKED = (
    f"{LAUNCHPAD.url}?ws.op=getPublishedSources&source_name={NAME}&version={VERSION}"
    "&exact_match=true"
)
LINK = f"{LAUNCHPAD.url}/+sourcepub/7"


def archive(listing: bytes, path: str = "main/source/Sources.xz") -> dict[str, bytes]:
    packed = lzma.compress(listing)
    suite = f"{ARCHIVE.url}/dists/focal-updates"
    return {f"{suite}/InRelease": release({path: packed}, by_hash=False), f"{suite}/{path}": packed}


def launchpad(*names: str, **other: object) -> dict[str, bytes]:
    entry = {
        "self_link": LINK,
        "source_package_name": NAME,
        "source_package_version": VERSION,
        **other,
    }
    rows = [
        {"url": f"https://l.example/+f/{name}", "size": 9, "sha256": "b" * 64} for name in names
    ]
    return {
        ASKED: json.dumps({"entries": [entry]}).encode(),
        f"{LINK}?ws.op=sourceFileUrls&include_meta=true": json.dumps(rows).encode(),
    }


def located(source: Source, pages: dict[str, bytes]) -> PackageRef | None:
    return source_packages.locate(PACKAGE, source, Recorded(pages))


def test_in_an_archive_both_files_are_as_signed_as_its_list() -> None:
    found = located(ARCHIVE, archive(sources_list(NAME, VERSION, FILES, POOL)))
    assert found is not None and found.diff is not None
    for ref, name in ((found, ORIG), (found.diff, DIFF)):
        assert ref.url == f"http://m.example/u/{POOL}/{name}"
        assert (ref.package.id, ref.package.version) == (name, VERSION)
        assert (ref.size, ref.sha256) == (len(FILES[name]), digest(FILES[name]))
        assert ref.signed_by == KEY
    assert found.files == (found, found.diff)


def test_in_a_folder_the_dsc_names_them() -> None:
    dsc = f"{NAME}_{VERSION}.dsc"
    pages = {
        f"{FOLDER.url}/": "\n".join(FILES).encode(),
        f"{FOLDER.url}/{dsc}": b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n"
        + FILES[dsc]
        + b"\n-----BEGIN PGP SIGNATURE-----\nVersion: 1\n",
    }
    found = located(FOLDER, pages)
    assert found is not None and found.diff is not None
    assert (found.url, found.sha256) == (f"{FOLDER.url}/{ORIG}", digest(FILES[ORIG]))
    assert found.diff.url == f"{FOLDER.url}/{DIFF}"


def test_launchpad_keeps_them() -> None:
    found = located(LAUNCHPAD, launchpad(f"{NAME}_{VERSION}.dsc", ORIG, DIFF.replace("~", "%7E")))
    assert found is not None and found.diff is not None
    assert found.url == f"https://l.example/+f/{ORIG}"
    assert (found.diff.package.id, found.diff.sha256) == (DIFF, "b" * 64)
    assert found.signed_by is None


def test_a_package_of_one_tarball_has_no_diff() -> None:
    found = located(LAUNCHPAD, launchpad(f"{NAME}_{VERSION}.tar.xz"))
    assert found is not None
    assert found.files == (found,)


@pytest.mark.parametrize(
    ("source", "pages"),
    [
        (ARCHIVE, {}),
        (ARCHIVE, archive(sources_list(NAME, "5.15.0-1051.56", FILES, POOL))),
        (ARCHIVE, archive(sources_list("linux-aws", VERSION, FILES, POOL))),
        (ARCHIVE, archive(b"", "universe/source/Sources.xz")),
        (FOLDER, {f"{FOLDER.url}/": f"{ORIG}\n{DIFF}\n".encode()}),
        (LAUNCHPAD, {}),
        (LAUNCHPAD, launchpad(ORIG, DIFF, source_package_version="5.15.0-1051.56")),
        (LAUNCHPAD, launchpad()),
    ],
)
def test_none_where_it_is_not_published(source: Source, pages: dict[str, bytes]) -> None:
    assert located(source, pages) is None


@pytest.mark.parametrize(
    ("source", "pages"),
    [
        (ARCHIVE, archive(sources_list(NAME, VERSION, {}, POOL))),
        (ARCHIVE, archive(sources_list(NAME, VERSION, {"../evil.tar.gz": b""}, POOL))),
        (LAUNCHPAD, launchpad(ORIG, f"{NAME}_{VERSION}.debian.tar.xz")),
        (LAUNCHPAD, launchpad(f"{NAME}_..%2F..%2Fevil.tar.gz")),
        (LAUNCHPAD, launchpad("linux-gcp_5.15.0.orig.tar.gz")),
        (LAUNCHPAD, launchpad(DIFF)),
        (LAUNCHPAD, launchpad(ORIG, self_link="https://elsewhere.example/1")),
    ],
    ids=["no files", "outside", "quilt", "escaped", "other name", "diff alone", "elsewhere"],
)
def test_what_cannot_be_used_is_not_guessed_at(source: Source, pages: dict[str, bytes]) -> None:
    with pytest.raises(CouldNotFindOut) as unsure:
        located(source, pages)
    assert unsure.value.code == "index-unreadable"


def test_a_list_that_is_not_the_signed_one_is_refused() -> None:
    pages = archive(sources_list(NAME, VERSION, FILES, POOL))
    pages[f"{ARCHIVE.url}/dists/focal-updates/main/source/Sources.xz"] = lzma.compress(b"")
    with pytest.raises(Refused):
        located(ARCHIVE, pages)
