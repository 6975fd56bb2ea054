"""Which package has a build ID, asked of repositories over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut, NotPublished, Source
from kernsym.server.mirrors.build_ids import BuildIds, PackageOfBuildId
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Limits, Upstream
from tests.distros.rpm_md_writer import PACKERS, Row, build_id_file, repository
from tests.upstream import UpstreamServer

VMLINUX, MODULE, OTHER = "ab" * 20, "cd" * 20, "ef" * 20
UNAME = "4.18.0-553.el8_10.x86_64"
VMLINUX_PATH = f"/usr/lib/debug/lib/modules/{UNAME}/vmlinux"
ROW = Row(
    name="kernel-debuginfo", files=(VMLINUX_PATH, build_id_file(VMLINUX), build_id_file(MODULE))
)
QUICK = Limits(connect=2.0, stall=0.5, attempts=1)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    (tmp_path / "mirror").mkdir()
    with UpstreamServer(tmp_path / "mirror") as server:
        yield server


def write(mirror: UpstreamServer, row: Row = ROW, suffix: str = ".gz") -> None:
    rows = (Row(name="bash-debuginfo", files=(build_id_file(OTHER),)), row)
    for name, body in repository("repo", rows, suffix=suffix).items():
        path = mirror.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def source_of(url: str) -> Source:
    return Source(distro="rhel", kind="rpm-md", url=f"{url}/repo", signature="skip")


async def search(tmp_path: Path, build_id: str, *urls: str) -> PackageOfBuildId:
    pages = tmp_path / "pages"
    async with Upstream(pages, QUICK) as upstream:
        sources = [source_of(url) for url in urls]
        fetch = ThreadFetch(upstream)
        return await asyncio.to_thread(BuildIds(pages).search, build_id, sources, fetch)


@pytest.mark.parametrize("suffix", PACKERS)
async def test_it_is_found_and_the_second_question_costs_nothing(
    mirror: UpstreamServer, tmp_path: Path, suffix: str
) -> None:
    write(mirror, suffix=suffix)
    for build_id in (VMLINUX, MODULE):
        found = await search(tmp_path, build_id, mirror.url)
        assert found.uname == UNAME
        assert found.ref.package.id == f"kernel-debuginfo-{UNAME}"
        assert found.ref.url == f"{mirror.url}/repo/{ROW.file}" and found.ref.sha256 == "ab" * 32
    assert mirror.hits.total() == 3  # repomd.xml, filelists, primary


async def test_a_mirror_list_is_followed(mirror: UpstreamServer, tmp_path: Path) -> None:
    write(mirror)
    folder = mirror.root / "lists/x86_64"
    folder.mkdir(parents=True)
    (mirror.root / "repo").rename(mirror.root / "x86_64")
    (folder / "mirror.list").write_text(f"{mirror.url}/$basearch\n")
    source = replace(source_of(mirror.url), url=f"{mirror.url}/lists/x86_64/mirror.list")
    async with Upstream(tmp_path / "pages", QUICK) as upstream:
        find = BuildIds(tmp_path / "pages").find
        found = await asyncio.to_thread(find, VMLINUX, source, ThreadFetch(upstream))
    assert found is not None and found.ref.url == f"{mirror.url}/x86_64/{ROW.file}"


async def test_a_list_that_has_changed_is_read_anew(mirror: UpstreamServer, tmp_path: Path) -> None:
    write(mirror, Row(name="kernel-debuginfo", files=(VMLINUX_PATH,)))
    with pytest.raises(NotPublished) as missing:
        await search(tmp_path, VMLINUX, mirror.url)
    assert missing.value.context == (f"{mirror.url[7:]}/repo: lists no kernel with it",)
    write(mirror)
    for page in (tmp_path / "pages").iterdir():  # whose few minutes are over
        page.unlink()
    assert (await search(tmp_path, VMLINUX, mirror.url)).uname == UNAME


async def test_who_could_not_be_asked_is_no_miss(mirror: UpstreamServer, tmp_path: Path) -> None:
    write(mirror)
    with pytest.raises(CouldNotFindOut) as unknown:
        await search(tmp_path, OTHER, "http://127.0.0.1:1", mirror.url)
    assert unknown.value.code == "mirror-unreachable" and len(unknown.value.context) >= 2
    assert (await search(tmp_path, VMLINUX, "http://127.0.0.1:1", mirror.url)).uname == UNAME


async def test_an_index_that_was_cut_off_is_made_again(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    write(mirror)
    await search(tmp_path, VMLINUX, mirror.url)
    pages = list((tmp_path / "pages").iterdir())
    (index,) = [path for path in pages if path.read_bytes().startswith(b"SQLite")]
    index.write_bytes(index.read_bytes()[:5000])
    assert (await search(tmp_path, VMLINUX, mirror.url)).uname == UNAME
