"""rpm-md repositories: the exact package or none, all packings and digests, damage told apart."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import (
    CouldNotFindOut,
    Kernel,
    KernsymError,
    Package,
    Page,
    Refused,
    Role,
    Source,
)
from kernsym.distros.formats import rpm_md
from kernsym.distros.formats.rpm_lists import joined
from tests.distros.recorded import KEY, Recorded
from tests.distros.rpm_md_writer import ALGORITHMS, PACKERS, Row, repository

URL = "https://mirror.example/rhel8/debug"
SOURCE = Source(distro="rhel", kind="rpm-md", url=f"{URL}/")
KERNEL = Kernel(
    distro="rhel",
    release="8",
    arch="x86_64",
    uname="4.18.0-553.el8_10.x86_64",
    flavour="",
    version="4.18.0-553.el8_10",
)
WANTED = Package(
    role=Role.DEBUGINFO,
    id="kernel-debuginfo-4.18.0-553.el8_10.x86_64",
    name="kernel-debuginfo",
    version="4.18.0-553.el8_10",
    arch="x86_64",
)
ROW = Row(name="kernel-debuginfo")
NEIGHBOURS = (
    Row(name="kernel-debuginfo-common-x86_64"),
    Row(name="kernel"),
    replace(ROW, release="553.el8"),
    replace(ROW, release="553.el8_10.1"),
    replace(ROW, release="553.5.1.el8_10"),
    replace(ROW, version="4.18.1"),
    replace(ROW, arch="aarch64"),
    replace(ROW, arch="src"),
)


def suse(version: str) -> Package:
    name = "kernel-default-debuginfo"
    return replace(WANTED, id=f"{name}-{version}.x86_64", name=name, version=version)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("checksum", ALGORITHMS)
def test_the_exact_package_is_found(suffix: str, checksum: str) -> None:
    pages = repository(URL, (*NEIGHBOURS, ROW), suffix=suffix, checksum=checksum)
    found = rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert found is not None
    assert found.package == WANTED
    assert found.url == f"{URL}/{ROW.file}"
    assert (found.size, found.sha256, found.signed_by) == (1234, "ab" * 32, KEY)
    assert found.digest == f"sha256:{'ab' * 32}"


@pytest.mark.parametrize(
    ("checksum", "digest"),
    [
        (("sha", "cd" * 20), f"sha1:{'cd' * 20}"),
        (("sha1", "CD" * 20), f"sha1:{'cd' * 20}"),
        (("sha512", "ef" * 64), f"sha512:{'ef' * 64}"),
    ],
)
def test_digests_of_packages(checksum: tuple[str, str], digest: str) -> None:
    pages = repository(URL, [replace(ROW, checksum=checksum)])
    found = rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert found is not None and found.digest == digest


def test_none_of_the_neighbours_will_do() -> None:
    fetch = Recorded(repository(URL, NEIGHBOURS))
    assert rpm_md.locate(WANTED, KERNEL, SOURCE, fetch) is None
    assert rpm_md.locate_all(WANTED, KERNEL, SOURCE, fetch) == ()


def test_no_repository_is_a_miss() -> None:
    assert rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded({})) is None


def test_an_unknown_rebuild_counter_gives_the_newest_first() -> None:
    base = Row(name="kernel-default-debuginfo", version="5.3.18")
    rows = [
        replace(base, release=f"150300.59.60.{counter}", built=built)
        for counter, built in (("4", 40), ("12", 120), ("4", 50), ("1", 10))
    ] + [replace(base, release="150300.59.61.1")]
    fetch = Recorded(repository(URL, rows))
    wanted = suse("5.3.18-150300.59.60.*")
    found = rpm_md.published(wanted, SOURCE, fetch)
    assert [(one.ref.package.version.rsplit(".", 1)[-1], one.built) for one in found] == [
        ("12", 120), ("4", 50), ("4", 40), ("1", 10),
    ]  # fmt: skip
    newest = rpm_md.locate(wanted, KERNEL, SOURCE, fetch)
    assert newest == found[0].ref == rpm_md.locate_all(wanted, KERNEL, SOURCE, fetch)[0]
    assert newest.package.id == "kernel-default-debuginfo-5.3.18-150300.59.60.12.x86_64"


def test_an_unknown_architecture_is_told_by_the_list_and_is_never_source() -> None:
    fetch = Recorded(repository(URL, [replace(ROW, arch="src"), replace(ROW, arch="s390x")]))
    found = rpm_md.locate_all(replace(WANTED, arch="*"), KERNEL, SOURCE, fetch)
    assert [ref.package.arch for ref in found] == ["s390x"]


def test_what_tells_rebuilds_apart_is_kept() -> None:
    provides = ("kernel-default = 5.3.18", f"kernel-default-srchash-{'5c01f4e' * 5}00000")
    row = replace(ROW, provides=provides, description="GIT Revision: 5c01f4e & more")
    found = rpm_md.published(WANTED, SOURCE, Recorded(repository(URL, [row])))
    assert found[0].provides == provides
    assert found[0].description == "GIT Revision: 5c01f4e & more"


def test_reading_ends_at_the_package() -> None:
    """What follows it may be damaged: it is not even unpacked."""
    pages = repository(URL, [ROW, *NEIGHBOURS * 2000], suffix="")
    body = pages[f"{URL}/repodata/primary.xml"]
    broken = repository(URL, [ROW], suffix="")
    damaged = body[: 1 << 19] + b"<<<" + body[1 << 19 :]
    broken |= with_list(broken, damaged)
    assert rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(broken)) is not None
    with pytest.raises(CouldNotFindOut) as error:
        rpm_md.locate_all(WANTED, KERNEL, SOURCE, Recorded(broken))
    assert error.value.code == "index-unreadable"


def with_list(pages: dict[str, bytes], body: bytes) -> dict[str, bytes]:
    """Another primary list under the name and with the digest that repomd.xml gives."""
    place, repomd = f"{URL}/repodata/primary.xml", f"{URL}/repodata/repomd.xml"
    old, new = (hashlib.sha256(data).hexdigest().encode() for data in (pages[place], body))
    return {place: body, repomd: pages[repomd].replace(old, new)}


def test_a_location_may_have_a_base_of_its_own() -> None:
    row = replace(ROW, base="https://other.example/tree/")
    found = rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(repository(URL, [row])))
    assert found is not None and found.url == f"https://other.example/tree/{row.file}"


def test_the_token_of_a_source_goes_with_every_request_and_is_not_shown() -> None:
    pages = {f"{url}?token123": body for url, body in repository(URL, [ROW]).items()}
    source = replace(SOURCE, url=f"{URL}/?token123")
    found = rpm_md.locate(WANTED, KERNEL, source, Recorded(pages))
    assert found is not None and found.url == f"{URL}/{ROW.file}?token123"
    assert "token123" not in found.origin + found.why


def test_an_unsigned_repository_is_refused() -> None:
    pages = repository(URL, [ROW])
    del pages[f"{URL}/repodata/repomd.xml.asc"]
    with pytest.raises(Refused) as error:
        rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert error.value.code == "signature-missing"


def test_another_list_than_announced_is_refused() -> None:
    pages = repository(URL, [ROW])
    pages[f"{URL}/repodata/primary.xml.gz"] += b"\0"
    with pytest.raises(Refused) as error:
        rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert error.value.code == "digest-mismatch"


def test_a_missing_list_is_not_a_miss() -> None:
    pages = repository(URL, [ROW])
    del pages[f"{URL}/repodata/primary.xml.gz"]
    with pytest.raises(CouldNotFindOut) as error:
        rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert error.value.code == "index-incomplete"


@pytest.mark.parametrize(
    "repomd",
    [
        b"",
        b"<html>not found</html>",
        b"<repomd xmlns='http://linux.duke.edu/metadata/repo'/>",
        b"<repomd xmlns='http://linux.duke.edu/metadata/repo'><data type='primary'>"
        b"<checksum type='md5'>d41d8cd98f00b204e9800998ecf8427e</checksum>"
        b"<location href='p'/></data></repomd>",
        b"<repomd xmlns='http://linux.duke.edu/metadata/repo'><data type='primary'>"
        b"<location href='p'/></data></repomd>",
    ],
)
def test_a_broken_repomd_is_not_a_miss(repomd: bytes) -> None:
    pages = repository(URL, [ROW]) | {f"{URL}/repodata/repomd.xml": repomd}
    with pytest.raises(CouldNotFindOut) as error:
        rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert error.value.code == "index-unreadable"


def test_entities_that_multiply_do_not_fill_the_memory() -> None:
    entities = "".join(f"<!ENTITY e{n + 1} '{f'&e{n};' * 20}'>" for n in range(12))
    bomb = f"<!DOCTYPE m [<!ENTITY e0 'laugh'>{entities}]><metadata>&e12;</metadata>"
    pages = repository(URL, [ROW], suffix="")
    pages |= with_list(pages, bomb.encode())
    with pytest.raises(CouldNotFindOut) as error:
        rpm_md.locate(WANTED, KERNEL, SOURCE, Recorded(pages))
    assert error.value.code == "index-unreadable"


@given(data=st.data(), suffix=st.sampled_from(sorted(PACKERS)))
def test_damage_gives_the_package_or_an_error_of_ours(data: st.DataObject, suffix: str) -> None:
    """Never another exception, and never a miss."""
    pages = repository(URL, [*NEIGHBOURS, ROW], suffix=suffix)
    place = f"{URL}/repodata/primary.xml{suffix}"
    body = bytearray(pages[place])
    cut = data.draw(st.integers(0, len(body)), "cut at")
    at = data.draw(st.integers(0, len(body) - 1), "changed at")
    body[at] ^= data.draw(st.integers(0, 255), "changed by")
    fetch = Undigested(pages | {place: bytes(body[:cut])})
    try:
        found = rpm_md.locate(WANTED, KERNEL, SOURCE, fetch)
    except KernsymError as error:
        assert error.code == "index-unreadable"
    else:
        assert found is None or found.package == WANTED


class Undigested(Recorded):
    """Lets wrong bytes through, so that the parser meets them."""

    def page(self, url: str, **_options: object) -> Page | None:
        return super().page(url)


@pytest.mark.parametrize("suffix", PACKERS)
def test_a_list_that_is_cut_is_not_a_miss(suffix: str) -> None:
    pages = repository(URL, NEIGHBOURS, suffix=suffix)
    place = f"{URL}/repodata/primary.xml{suffix}"
    pages[place] = pages[place][:-40]
    with pytest.raises(CouldNotFindOut):
        rpm_md.locate(WANTED, KERNEL, SOURCE, Undigested(pages))


@pytest.mark.parametrize(
    ("base", "path", "address"),
    [
        ("http://m.example/a/", "b.rpm", "http://m.example/a/b.rpm"),
        ("http://m.example/a", "c++.rpm", "http://m.example/a/c%2B%2B.rpm"),
        ("file:///mnt/a/", "c++.rpm", "file:///mnt/a/c++.rpm"),
    ],
)
def test_addresses(base: str, path: str, address: str) -> None:
    assert joined(base, path) == address
