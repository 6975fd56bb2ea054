"""RPMs on their way into the store: their own signature, where the index has none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.messages import Part
from kernsym.distros import Fingerprint, Kernel, Package, PackageRef, Refused, Role, Source
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job
from kernsym.server.packages import Packages
from kernsym.server.resolve import Offer
from kernsym.server.upstream import Upstream

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
        Packages(store, upstream, config).open(job, Offer(ref=ref, source=source)) as package,
    ):
        assert await asyncio.to_thread(package.read_at, 0, 4) == b"\xed\xab\xee\xdb"
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
