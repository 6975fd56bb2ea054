"""Lists in pages: nothing twice, nothing left out, filters, and cursors that are not believed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from kernsym.cache import Bundle, BundleFile, FileRole, Store, Verification
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig
from kernsym.server.keys import JOBS
from tests.server.working import Gate, events, kernel

Client = TestClient[Any, Any]


def publish(root: Path, count: int) -> None:
    """Kernels of which each holds a vmlinux whose build ID ends with its number."""
    with contextlib.closing(Store(root)) as store:
        for number in range(count):
            path = store.folder(kernel(number)) / "root/vmlinux"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"")
            file = BundleFile(
                role=FileRole.VMLINUX,
                path="root/vmlinux",
                size=0,
                sha256="",
                package="p",
                build_id=f"{number:040x}",
            )
            shown = Verification(by=("banner",), banner=f"Linux {number}", build_id=None)
            store.publish(
                Bundle(kernel=kernel(number), verification=shown, packages=(), files=(file,))
            )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    config = ServerConfig(store=tmp_path, host="127.0.0.1", port=0, offline=True)
    async with TestClient(TestServer(build_app(config))) as made:
        yield made


async def pages(client: Client, path: str, name: str) -> list[list[Any]]:
    """What each page of a list holds, followed by the links."""
    found = []
    while path:
        answer = await client.get(path)
        assert answer.status == 200, await answer.text()
        found.append((await answer.json())[name])
        path = next_of(answer)
    return found


def next_of(answer: ClientResponse) -> str:
    """The path of the next page, "" after the last."""
    following = answer.links.get("next")
    return URL(following["url"]).path_qs if following else ""


async def test_kernels_come_in_pages(tmp_path: Path, client: Client) -> None:
    publish(tmp_path, 7)
    found = await pages(client, "/api/v1/kernels?limit=3&distro=debian", "kernels")
    assert [len(page) for page in found] == [3, 3, 1]
    names = [bundle["kernel"]["uname"] for page in found for bundle in page]
    assert names == sorted(kernel(number).uname for number in range(7))
    assert [len(page) for page in await pages(client, "/api/v1/kernels?limit=7", "kernels")] == [7]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("distro=debian", 3),
        ("distro=rhel", 0),
        ("uname=6.1.0-2-amd64", 1),
        (f"build_id={1:040X}", 1),
        (f"build_id={9:040x}", 0),
        ("build_id=nonsense", 0),
        (f"build_id={1:040x}&uname=6.1.0-2-amd64", 0),
    ],
)
async def test_kernels_are_found_by_what_they_are(
    tmp_path: Path, client: Client, query: str, count: int
) -> None:
    publish(tmp_path, 3)
    (page,) = await pages(client, f"/api/v1/kernels?{query}", "kernels")
    assert len(page) == count


async def test_jobs_come_in_pages_the_newest_first(client: Client) -> None:
    gate, board = Gate(), client.app[JOBS]
    jobs = [gate.start(board, number) for number in range(7)]
    gate.open()
    for job in jobs[:6]:
        await events(job)
    await board.cancel(jobs[6], "t1")
    expected = [job.id for job in reversed(jobs)]
    for limit, sizes in ((3, [3, 3, 1]), (7, [7])):
        found = await pages(client, f"/api/v1/jobs?limit={limit}", "jobs")
        assert [len(page) for page in found] == sizes
        assert [job["id"] for page in found for job in page] == expected
    found = await pages(client, "/api/v1/jobs?state=done&limit=4", "jobs")
    done = {job.id for job in jobs if job.state.value == "done"}
    assert {job["id"] for page in found for job in page} == done


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/api/v1/kernels"])
@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=x",
        "limit=1001",
        "limit=1&limit=2",
        "cursor=%00",
        "cursor=",
        "cursor=_w",
        "nothing=1",
    ],
)
async def test_a_query_that_makes_no_sense_is_said(client: Client, path: str, query: str) -> None:
    answer = await client.get(f"{path}?{query}")
    assert answer.status == 400
    assert (await answer.json())["code"] == "query-invalid"


async def test_a_page_goes_on_after_a_kernel_that_was_removed(
    tmp_path: Path, client: Client
) -> None:
    publish(tmp_path, 4)
    first = await client.get("/api/v1/kernels?limit=2")
    shown = [bundle["kernel"]["uname"] for bundle in (await first.json())["kernels"]]
    with contextlib.closing(Store(tmp_path)) as store:
        removed = store.bundle(kernel(1))
        assert removed is not None
        store.remove(removed)
    (page,) = await pages(client, next_of(first), "kernels")
    shown += [bundle["kernel"]["uname"] for bundle in page]
    assert shown == [kernel(number).uname for number in range(4)]
