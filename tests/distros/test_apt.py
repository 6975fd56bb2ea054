"""Release files, Packages lists, and finding one package through them."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import time
import tracemalloc
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import CouldNotFindOut, Package, Refused, Role, Source
from kernsym.distros.formats import apt_archive
from kernsym.distros.formats.apt import FormatError, find_stanza, parse_fields, parse_release
from tests.distros.recorded import KEY, Recorded, digest, release

NAME, VERSION = "linux-image-6.1.0-56-amd64-dbg", "6.1.192-2"
FILE = f"{NAME}_{VERSION}_amd64.deb"
SHA256 = "e481662ac62dbecc5fa23cc8eff199d140aea356e411ee80f8d9e34c455da7ce"
PACKAGE = Package(role=Role.DEBUGINFO, id=FILE, name=NAME, version=VERSION, arch="amd64")

# As in bookworm-security, other fields left out.
PACKAGES = f"""\
Package: {NAME}
Source: linux
Version: 6.1.192-1
Architecture: amd64
Filename: pool/updates/main/l/linux/{NAME}_6.1.192-1_amd64.deb
Size: 858382036
SHA256: {"0" * 64}

Package: {NAME}
Source: linux
Version: {VERSION}
Installed-Size: 5618334
Architecture: amd64
Description: Debug symbols for linux-image-6.1.0-56-amd64
Filename: pool/updates/main/l/linux/{FILE}
Size: 858383044
SHA256: {SHA256}

Package: linux-source-6.1
Version: {VERSION}
Architecture: all
Filename: pool/updates/main/l/linux/linux-source-6.1_{VERSION}_all.deb
Size: 139331676
SHA256: ae95fe63d4c553f8d0e6c86cb1ab566f3894a43743eb19ab585cd97d82f26514
""".encode()

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    "": bytes,
}
BASE = "http://mirror.example/debian-security"
SUITE = f"{BASE}/dists/bookworm-security"
LIST = "main/binary-amd64/Packages.xz"
SOURCE = Source(
    distro="debian", kind="apt", url=BASE, suite="bookworm-security", origin="sources.list"
)


def stanza(data: bytes, name: str = "Packages", architecture: str = "amd64") -> object:
    return find_stanza(data, name, package=NAME, version=VERSION, architecture=architecture)


def mirror(listing: bytes = PACKAGES, *, by_hash: bool = True) -> dict[str, bytes]:
    packed = lzma.compress(listing)
    pages = {f"{SUITE}/InRelease": release({LIST: packed}, by_hash=by_hash)}
    name = f"main/binary-amd64/by-hash/SHA256/{digest(packed)}" if by_hash else LIST
    return {**pages, f"{SUITE}/{name}": packed}


def test_a_release_file() -> None:
    body = release({LIST: b"x", "main/binary-arm64/Packages": b""}, extra="Hash: none\n")
    read = parse_release(body)
    assert (read.suite, read.codename, read.by_hash) == ("oldstable", "bookworm", True)
    assert read.architectures == ("all", "amd64", "arm64")
    assert read.files[LIST] == (digest(b"x"), 1)
    assert read.files["main/binary-arm64/Packages"] == (digest(b""), 0)


def test_a_release_file_of_weak_digests_is_not_used() -> None:
    with pytest.raises(FormatError, match="SHA-256"):
        parse_release(b"Suite: sarge\nMD5Sum:\n 00 1 main/binary-i386/Packages\n")


@pytest.mark.parametrize("suffix", COMPRESS)
def test_one_stanza_is_found_whatever_the_compression(suffix: str) -> None:
    found = find_stanza(
        COMPRESS[suffix](PACKAGES),
        f"Packages{suffix}",
        package=NAME,
        version=VERSION,
        architecture="amd64",
    )
    assert found is not None
    assert (found.version, found.size, found.sha256) == (VERSION, 858383044, SHA256)
    assert found.path == f"pool/updates/main/l/linux/{FILE}"


@pytest.mark.parametrize(("architecture", "there"), [("amd64", True), ("*", True), ("i386", False)])
def test_the_architecture_must_fit(architecture: str, there: bool) -> None:
    assert (stanza(PACKAGES, architecture=architecture) is not None) is there


def test_a_stanza_across_pieces_and_at_the_end_of_the_list() -> None:
    filler = b"Package: other\nVersion: 1\nDescription: " + b"x" * 300_000 + b"\n\n"
    assert stanza(filler * 3 + PACKAGES) == stanza(PACKAGES)
    last = PACKAGES.split(b"\n\n")[1].rstrip(b"\n") + b"\n"
    assert stanza(filler + last) == stanza(PACKAGES)


@pytest.mark.parametrize("suffix", [".xz", ".gz", ".bz2"])
def test_a_broken_list_is_never_taken_for_one_without_the_package(suffix: str) -> None:
    whole = COMPRESS[suffix](b"Package: other\n\n" * 5000)
    for broken in (whole[: len(whole) // 2], b"<html>captive portal</html>", b""):
        with pytest.raises(FormatError):
            stanza(broken, f"Packages{suffix}")


def test_a_stanza_without_a_size_is_broken() -> None:
    with pytest.raises(FormatError, match="no Size"):
        stanza(PACKAGES.replace(b"Size: 858383044\n", b""))


def test_a_long_list_is_read_fast_and_in_little_memory() -> None:
    entry = "Package: p{0}\nVersion: 1\nDescription: " + "word " * 150 + "\n\n"
    text = "".join(entry.format(number) for number in range(30_000)).encode() + PACKAGES
    packed = lzma.compress(text, preset=0)
    del text
    start = time.process_time()
    assert stanza(packed, "Packages.xz") is not None
    assert time.process_time() - start < 1.5
    tracemalloc.start()
    stanza(packed, "Packages.xz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_locate_by_hash() -> None:
    fetch = Recorded(mirror())
    found = apt_archive.locate(PACKAGE, SOURCE, fetch, port="amd64")
    assert found is not None
    assert found.url == f"{BASE}/pool/updates/main/l/linux/{FILE}"
    assert (found.size, found.sha256, found.signed_by) == (858383044, SHA256, KEY)
    assert found.origin == "mirror.example/debian-security bookworm-security"
    assert VERSION in found.why and "sources.list" in found.why
    assert len(fetch.asked) == 2


def test_locate_without_by_hash_and_with_a_detached_signature() -> None:
    pages = mirror(by_hash=False)
    pages[f"{SUITE}/Release"] = pages.pop(f"{SUITE}/InRelease")
    pages[f"{SUITE}/Release.gpg"] = b"signature"
    assert apt_archive.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64") is not None


def test_a_list_that_is_only_under_its_name() -> None:
    pages = mirror()
    by_hash = next(url for url in pages if "by-hash" in url)
    pages[f"{SUITE}/{LIST}"] = pages.pop(by_hash)
    assert apt_archive.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64") is not None


@pytest.mark.parametrize(
    "pages",
    [{}, mirror(b"Package: other\nVersion: 1\n"), mirror(PACKAGES.replace(b"192-2", b"192-3"))],
    ids=["no such suite", "no such package", "another version"],
)
def test_none_when_it_is_not_published(pages: Mapping[str, bytes]) -> None:
    assert apt_archive.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64") is None


def test_none_when_the_suite_has_no_such_architecture() -> None:
    assert apt_archive.locate(PACKAGE, SOURCE, Recorded(mirror()), port="riscv64") is None


def test_packages_for_all_are_in_the_list_of_the_port() -> None:
    file = f"linux-source-6.1_{VERSION}_all.deb"
    sources = Package(
        role=Role.SOURCE, id=file, name="linux-source-6.1", version=VERSION, arch="all"
    )
    found = apt_archive.locate(sources, SOURCE, Recorded(mirror()), port="amd64")
    assert found is not None
    assert found.url.endswith(file)


def test_an_unknown_architecture_is_looked_for_in_every_list() -> None:
    unknown = Package(
        role=Role.DEBUGINFO, id=f"{NAME}_{VERSION}_*.deb", name=NAME, version=VERSION, arch="*"
    )
    found = apt_archive.locate(unknown, SOURCE, Recorded(mirror()), port="*")
    assert found is not None
    assert (found.package.id, found.package.arch) == (FILE, "amd64")


def test_a_plus_is_escaped_for_http_and_not_for_files() -> None:
    listing = PACKAGES.replace(b"6.1.0-56", b"6.12.94+deb13")
    package = Package(
        role=Role.DEBUGINFO,
        id="",
        name=NAME.replace("6.1.0-56", "6.12.94+deb13"),
        version=VERSION,
        arch="amd64",
    )
    for base, text in (("http://mirror.example/debian-security", "%2B"), ("file:///srv/d", "+")):
        pages = {url.replace(BASE, base): body for url, body in mirror(listing).items()}
        source = Source(distro="debian", kind="apt", url=base, suite="bookworm-security")
        found = apt_archive.locate(package, source, Recorded(pages), port="amd64")
        assert found is not None
        assert f"6.12.94{text}deb13-amd64-dbg_" in found.url


def test_a_flat_repository() -> None:
    flat = Source(distro="debian", kind="apt", url="http://m.example/r", suite="./", component="")
    pages = {
        "http://m.example/r/InRelease": release({"Packages": PACKAGES}, by_hash=False),
        "http://m.example/r/Packages": PACKAGES,
    }
    found = apt_archive.locate(PACKAGE, flat, Recorded(pages), port="amd64")
    assert found is not None
    assert found.url == f"http://m.example/r/pool/updates/main/l/linux/{FILE}"


def test_an_unsigned_index_is_refused() -> None:
    with pytest.raises(Refused, match="not signed"):
        fetch = Recorded(mirror(), unsigned=(f"{SUITE}/InRelease",))
        apt_archive.locate(PACKAGE, SOURCE, fetch, port="amd64")


def test_a_list_with_another_digest_is_refused() -> None:
    pages = {url: body + b"!" if "by-hash" in url else body for url, body in mirror().items()}
    with pytest.raises(Refused) as refused:
        apt_archive.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64")
    assert refused.value.code == "digest-mismatch"


def test_a_mirror_without_its_list_says_nothing() -> None:
    pages = {url: body for url, body in mirror().items() if "by-hash" not in url}
    with pytest.raises(CouldNotFindOut) as unsure:
        apt_archive.locate(PACKAGE, SOURCE, Recorded(pages), port="amd64")
    assert unsure.value.code == "index-incomplete"


@pytest.mark.parametrize("body", [b"<html>", b"", PACKAGES])
def test_an_unreadable_index_says_nothing(body: bytes) -> None:
    with pytest.raises(CouldNotFindOut) as unsure:
        fetch = Recorded({f"{SUITE}/InRelease": body})
        apt_archive.locate(PACKAGE, SOURCE, fetch, port="amd64")
    assert unsure.value.code == "index-unreadable"


@given(st.binary(max_size=400))
def test_no_bytes_make_the_parsers_fail_otherwise(data: bytes) -> None:
    parse_fields(data.decode("latin-1"))
    for parse in (parse_release, stanza, lambda body: stanza(body, "Packages.xz")):
        with contextlib.suppress(FormatError):
            parse(data)


@given(st.data())
def test_a_damaged_list_gives_the_truth_or_an_error(data: st.DataObject) -> None:
    packed = bytearray(lzma.compress(PACKAGES))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = stanza(bytes(packed), "Packages.xz")
    except FormatError:
        return
    assert found == stanza(PACKAGES)
