"""rpm-md repositories over real HTTP and from folders, signed and unsigned."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign

from kernsym.distros import CouldNotFindOut, Kernel, Package, PackageRef, Refused, Role, Source
from kernsym.distros.formats import rpm_md
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Upstream
from tests.distros.rpm_md_writer import PACKERS, Row, repository
from tests.upstream import UpstreamServer

VERSION = "4.18.0-553.el8_10"
KERNEL = Kernel(
    distro="rhel", release="8", arch="x86_64", uname=VERSION, flavour="", version=VERSION
)
WANTED = Package(
    role=Role.DEBUGINFO,
    id=f"kernel-debuginfo-{VERSION}.x86_64",
    name="kernel-debuginfo",
    version=VERSION,
    arch="x86_64",
)
ROW = Row(name="kernel-debuginfo")


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    (tmp_path / "mirror").mkdir()
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


def write(root: Path, suffix: str = ".gz", key: Tsk | None = None) -> None:
    for name, body in repository("repo", [ROW], suffix=suffix).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    repomd = root / "repo/repodata/repomd.xml"
    signature = repomd.with_name("repomd.xml.asc")
    signature.unlink()
    if key is not None:
        made = sign(key.signer(), repomd.read_bytes(), mode=SignatureMode.DETACHED)
        signature.write_bytes(made)


def source_of(url: str, signature: str = "require", key: Tsk | None = None) -> Source:
    signed_by = (str(key.extract_certificate()),) if key else ()
    return Source(
        distro="rhel", kind="rpm-md", url=f"{url}/repo", signature=signature, signed_by=signed_by
    )


async def locate(pages: Path, source: Source) -> PackageRef | None:
    async with Upstream(pages) as upstream:
        fetch = ThreadFetch(upstream)
        return await asyncio.to_thread(rpm_md.locate, WANTED, KERNEL, source, fetch)


@pytest.mark.parametrize("suffix", PACKERS)
async def test_the_second_time_nothing_is_asked(
    mirror: UpstreamServer, tmp_path: Path, suffix: str
) -> None:
    key = Tsk.generate("Repository <r@example.com>")
    write(mirror.root, suffix, key)
    source = source_of(mirror.url, key=key)
    found = await locate(tmp_path / "pages", source)
    assert found is not None and found.package == WANTED
    assert found.signed_by == key.extract_certificate().fingerprint.upper()
    asked = mirror.hits.total()
    assert await locate(tmp_path / "pages", source) == found
    assert (asked, mirror.hits.total()) == (3, 3)


async def test_an_index_that_somebody_changed(mirror: UpstreamServer, tmp_path: Path) -> None:
    key = Tsk.generate("Repository <r@example.com>")
    write(mirror.root, key=key)
    repomd = mirror.root / "repo/repodata/repomd.xml"
    repomd.write_bytes(repomd.read_bytes() + b"\n")
    with pytest.raises(Refused) as error:
        await locate(tmp_path / "pages", source_of(mirror.url, key=key))
    assert error.value.code == "signature-bad"


@pytest.mark.parametrize("policy", ["require", "if-present", "skip"])
async def test_an_unsigned_index_leaves_it_to_the_packages(
    mirror: UpstreamServer, tmp_path: Path, policy: str
) -> None:
    write(mirror.root)
    found = await locate(tmp_path / "pages", source_of(mirror.url, policy))
    assert found is not None and found.signed_by is None


async def test_a_folder(tmp_path: Path) -> None:
    write(tmp_path)
    source = source_of(tmp_path.as_uri(), "skip")
    found = await locate(tmp_path / "pages", source)
    assert found is not None and found.url == f"{tmp_path.as_uri()}/repo/{ROW.file}"
    missing = replace(source, url=f"{tmp_path.as_uri()}/elsewhere")
    assert await locate(tmp_path / "pages", missing) is None


async def test_a_key_that_the_repository_offers_must_be_known(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    key = Tsk.generate("Repository <r@example.com>")
    write(mirror.root, key=key)
    (mirror.root / "repo/repodata/repomd.xml.key").write_text(str(key.extract_certificate()))
    fingerprint = key.extract_certificate().fingerprint.upper()
    source = replace(source_of(mirror.url), distro="photon")  # whose keys are not on this machine
    async with Upstream(tmp_path / "pages") as upstream:

        async def ask(fingerprints: tuple[str, ...], signed_by: tuple[str, ...] = ()) -> str | None:
            fetch = ThreadFetch(upstream, fingerprints=fingerprints)
            asked = replace(source, signed_by=signed_by)
            found = await asyncio.to_thread(rpm_md.locate, WANTED, KERNEL, asked, fetch)
            return found.signed_by if found else None

        assert await ask((fingerprint,)) == fingerprint
        for fingerprints in ((), ("A" * 40,)):
            with pytest.raises(CouldNotFindOut) as error:
                await ask(fingerprints)
            assert error.value.code == "keyring-missing"
        other = str(Tsk.generate("Another <a@example.com>").extract_certificate())
        with pytest.raises(Refused):
            await ask((fingerprint,), (other,))
