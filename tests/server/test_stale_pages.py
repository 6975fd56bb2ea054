"""What mirrors said earlier, used while they cannot be asked: with its age, never for a no."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut, Kernel, NotPublished, Package, Role, Source, catalog
from kernsym.server.mirrors.pages import ago
from kernsym.server.mirrors.resolve import Offer, offers
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Limits, Upstream
from tests.distros.rpm_md_writer import Row, repository
from tests.upstream import UpstreamServer

QUICK = Limits(connect=2.0, stall=0.3, attempts=1)
VERSION = "4.18.0-553.el8_10"
KERNEL = Kernel(
    distro="rhel", release="8", arch="x86_64", uname=f"{VERSION}.x86_64", flavour="",
    version=VERSION,
)  # fmt: skip


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    for name, body in repository("repo", [Row(name="kernel-debuginfo")]).items():
        path = tmp_path / "mirror" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    (tmp_path / "mirror/repo/repodata/repomd.xml.asc").unlink()
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


async def ask(
    tmp_path: Path, url: str, name: str = "kernel-debuginfo", *, offline: bool = False
) -> tuple[list[Offer], list[str]]:
    """What is offered, and what was said of old answers."""
    source = Source(distro="rhel", kind="rpm-md", url=f"{url}/repo", signature="if-present")
    package = Package(
        role=Role.DEBUGINFO, id=f"{name}-{VERSION}.x86_64", name=name, version=VERSION,
        arch="x86_64",
    )  # fmt: skip
    told: list[str] = []
    async with Upstream(tmp_path / "pages", QUICK, offline=offline) as upstream:
        fetch = ThreadFetch(upstream, tell=told.append)
        found = offers(
            catalog()["rhel"], KERNEL, [package], [source], fetch, pop_unsure=fetch.pop_unsure
        )
        return await asyncio.to_thread(list, found), told


def grow_old(tmp_path: Path, hours: float) -> None:
    for page in (tmp_path / "pages").iterdir():
        os.utime(page, (time.time() - hours * 3600,) * 2)


@pytest.mark.parametrize("trouble", ["dead", "failing", "offline"])
async def test_a_list_of_earlier_is_used_and_its_age_told(
    mirror: UpstreamServer, tmp_path: Path, trouble: str
) -> None:
    fresh, told = await ask(tmp_path, mirror.url)
    assert len(fresh) == 1 and not told
    grow_old(tmp_path, 3.5)
    if trouble == "dead":
        mirror.cut_after = 0
        for path in mirror.root.rglob("*.xml"):
            path.touch()  # so that there is something to send
    elif trouble == "failing":
        mirror.status_for = lambda path, hit: 503
    before = mirror.hits.total()
    found, told = await ask(tmp_path, mirror.url, offline=trouble == "offline")
    assert found == fresh
    assert told[0].startswith(f"using the list of {mirror.url[7:]}/repo from 3 hours ago (")
    assert (mirror.hits.total() == before) is (trouble == "offline")


async def test_a_package_that_an_old_list_lacks_may_be_published_by_now(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    with pytest.raises(NotPublished):
        await ask(tmp_path, mirror.url, "kernel-rt-debuginfo")
    grow_old(tmp_path, 1)
    mirror.status_for = lambda path, hit: 503
    with pytest.raises(CouldNotFindOut) as error:
        await ask(tmp_path, mirror.url, "kernel-rt-debuginfo")
    assert error.value.code == "mirror-failing"
    assert "did not have kernel-rt-debuginfo when it was last asked" in error.value.context[0]


async def test_what_was_never_asked_is_not_known_offline(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    with pytest.raises(CouldNotFindOut) as error:
        await ask(tmp_path, mirror.url, offline=True)
    assert error.value.code == "offline" and "--offline" in (error.value.hint or "")
    assert not mirror.hits


async def test_a_mirror_that_refuses_is_no_silent_one(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    await ask(tmp_path, mirror.url)
    grow_old(tmp_path, 1)
    mirror.status_for = lambda path, hit: 403
    with pytest.raises(CouldNotFindOut) as error:
        await ask(tmp_path, mirror.url)
    assert error.value.code == "credentials-missing"


async def test_soon_after_nothing_is_asked_then_only_whether_it_changed(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    await ask(tmp_path, mirror.url)
    assert mirror.hits.total() == 3
    await ask(tmp_path, mirror.url)
    assert mirror.hits.total() == 3, "not even for the signature that is not there"
    grow_old(tmp_path, 1)
    await ask(tmp_path, mirror.url)
    assert mirror.hits.total() == 5, "repomd.xml and its signature; the list is known by digest"


def test_ages() -> None:
    assert [ago(seconds) for seconds in (0, 60, 7200, 86400 * 3)] == [
        "just now", "1 minute ago", "2 hours ago", "3 days ago",
    ]  # fmt: skip
