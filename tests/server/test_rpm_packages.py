"""RPMs on their way into the store: their own signature, where the index has none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.messages import Part
from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    Kernel,
    Package,
    PackageRef,
    Refused,
    Role,
    Source,
)
from kernsym.server.bring.packages import Packages
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job
from kernsym.server.mirrors.resolve import Offer
from kernsym.server.mirrors.signatures import signers_of
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.unpack.packages.rpm_header import read_header
from tests.elf_writer import vmlinux
from tests.rpm_writer import RSA_HEADER, rpm
from tests.server import small_distro as small
from tests.server.old_signatures import old_key
from tests.server.test_candidates import ask
from tests.server.unpacking import Bytes

RECORDED = Path(__file__).parent / "signed_rpms"
SIGNED = (RECORDED / "rsa-sha256.rpm").read_bytes()
FINGERPRINT = "3D73EEC911FC4EE7D1DA970C16BC73C6BBE5E7EF"
KERNEL = Kernel(
    distro="debian",
    release="12",
    arch="x86_64",
    uname="6.1.0-1-amd64",
    flavour="amd64",
    version="6.1.1-1",
)
PACKAGE = Package(role=Role.DEBUGINFO, id="signed-1-1.noarch", name="signed", version="1", arch="x")


async def bring(folder: Path, content: bytes, signature: str) -> str:
    """The events of a job that brings a package from a folder, as one text."""
    (folder / "signed.rpm").write_bytes(content)
    source = Source(
        distro="debian",
        kind="directory",
        url=folder.as_uri(),
        signed_by=(str(RECORDED / "keys.asc"),),
        signature=signature,
        origin="a test",
    )
    store = Store(folder / "store")
    config = ServerConfig(
        store=store.root, host="", port=0, sources=(source,), builtin_sources=False
    )
    ref = PackageRef(
        package=PACKAGE, url=f"{folder.as_uri()}/signed.rpm", origin=source.place, why="a test"
    )
    job = Job(KERNEL, Part.SYMBOLS, Fingerprint())
    async with (
        Upstream(folder / "pages") as upstream,
        Packages(store, upstream, config).arrivals.open(
            job, Offer(ref=ref, source=source)
        ) as package,
    ):
        assert await asyncio.to_thread(package.read_at, 0, 4) == b"\xed\xab\xee\xdb"
    assert (package.ref.signed_by == FINGERPRINT) is (signature != "skip")
    job.finish(None)
    return " ".join([event.text or "" async for event in job.follow()])


async def test_a_signed_package_is_said_to_be(tmp_path: Path) -> None:
    assert FINGERPRINT in await bring(tmp_path, SIGNED, "if-present")


async def test_a_changed_package_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused) as error:
        await bring(tmp_path, SIGNED + b"\0", "if-present")
    assert error.value.code == "signature-bad"


async def test_a_source_may_skip_it(tmp_path: Path) -> None:
    assert FINGERPRINT not in await bring(tmp_path, SIGNED + b"\0", "skip")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a kernel's package, an RPM that is signed in the form of Red Hat's."""
    small.register(monkeypatch, small.distro("near", 1, (Role.DEBUGINFO,), certain=True))
    folder = tmp_path / "all"
    folder.mkdir()
    key = old_key(tmp_path)
    (tmp_path / "key.gpg").write_bytes(key.certificate)
    content = rpm(
        [(f"./{small.DEBUG_PATH}", vmlinux(small.banner("near.example"), small.build_id(1)))],
        sign=lambda header: {RSA_HEADER: key.sign(header)},
    )
    (folder / small.package("near").id).write_bytes(content)
    return folder


def test_what_was_verified_is_in_the_manifest(store: Store, tmp_path: Path, folder: Path) -> None:
    keyring = str(tmp_path / "key.gpg")
    bundle, _ = ask(
        store,
        small.fingerprint("near.example"),
        folder,
        signature="require",
        signed_by=(keyring,),
    )
    (held,) = signers_of(old_signature(folder))
    assert [ref.signed_by and ref.signed_by[-16:] for ref in bundle.packages] == [held]


def old_signature(folder: Path) -> bytes:
    header = read_header(Bytes((folder / small.package("near").id).read_bytes()))
    found = header.tags["rsaheader"]
    assert isinstance(found, bytes)
    return found


def test_nothing_is_published_without_the_signature_that_is_demanded(
    store: Store, tmp_path: Path, folder: Path
) -> None:
    place = str(tmp_path / "no such key")
    with pytest.raises(CouldNotFindOut) as missing:
        ask(store, small.fingerprint("near.example"), folder, signature="require",
            signed_by=(place,))  # fmt: skip
    assert missing.value.code == "keyring-missing" and place in (missing.value.hint or "")
    (signer,) = signers_of(old_signature(folder))
    assert signer in missing.value.message
    small.publish_vmlinux(folder, "near", "near.example", 1)  # a .deb
    with pytest.raises(Refused) as unsigned:
        ask(store, small.fingerprint("near.example"), folder, signature="require")
    assert unsigned.value.code == "signature-missing"
    assert not list(store.bundles()) and not list((store.root / ".build-id").glob("*/*"))
