"""`/metadata` of a real server, as debuginfod's clients ask for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiohttp import web

from kernsym.cache import FileMatch, FileRole, Store
from kernsym.server.lookup.federation import Asker, Federation
from kernsym.server.routes.metadata import MetadataQuery, _results, _search
from tests.elf_writer import BUILD_ID
from tests.live_server import LiveServer, fill_store, live_server, module_build_id
from tests.server.answering import Answer
from tests.server.test_peers import with_federation

VMLINUX = "/usr/lib/debug/vmlinux"
M0 = "/usr/lib/debug/m0.ko"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    folder = tmp_path_factory.mktemp("metadata")
    fill_store(folder / "store")
    with live_server(folder) as server:
        yield server


def ask(server: LiveServer, **query: str) -> dict[str, Any]:
    answer = server.ask(f"/metadata?{urlencode(query)}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("key", "value", "files"),
    [
        ("file", M0, [M0]),
        ("glob", "/usr/lib/debug/m?.ko", [M0, M0.replace("0", "1"), M0.replace("0", "2")]),
        ("glob", "/usr/*/*/vmlinux", [VMLINUX]),
        ("buildid", module_build_id(0), [M0]),
        ("buildid", BUILD_ID.upper(), [VMLINUX]),
        ("file", "/nowhere", []),
    ],
)
def test_files_are_listed(server: LiveServer, key: str, value: str, files: list[str]) -> None:
    found = ask(server, key=key, value=value)
    assert found["complete"] is True
    for kind in ("debuginfo", "executable"):
        assert sorted(row["file"] for row in found["results"] if row["type"] == kind) == files


def test_a_row_is_as_elfutils_writes_it(server: LiveServer) -> None:
    rows = ask(server, key="file", value=M0)["results"]
    assert rows[0] == {
        "type": "debuginfo",
        "buildid": module_build_id(0),
        "file": M0,
        "archive": "a",
    }
    for row in rows:
        assert server.ask(f"/buildid/{row['buildid']}/{row['type']}").status == 200


def test_head_tells_the_size(server: LiveServer) -> None:
    path = f"/metadata?{urlencode({'key': 'file', 'value': M0})}"
    head, whole = server.ask(path, method="HEAD"), server.ask(path)
    assert head.status == 200 and not head.body
    assert head.headers["Content-Length"] == str(len(whole.body))


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"key": "glob"},
        {"value": "/x"},
        {"key": "nothing", "value": "/x"},
        {"key": "buildid", "value": "xyz"},
        {"key": "buildid", "value": "ab"},
        {"key": "glob", "value": "/" + "x" * 5000},
        {"key": "file", "value": "/a\0b"},
    ],
)
def test_a_question_that_is_none(server: LiveServer, query: dict[str, str]) -> None:
    answer = server.ask(f"/metadata?{urlencode(query)}")
    assert (answer.status, answer.json()["code"]) == (400, "query-invalid")


@pytest.mark.parametrize(
    ("role", "path", "types"),
    [
        (FileRole.MODULE, "/a/ext4.ko", ["debuginfo", "executable"]),
        (FileRole.MODULE, "/a/ext4.ko.debug", ["debuginfo"]),
        (FileRole.VMLINUX, "/a/vmlinux.debug", ["debuginfo"]),
        (FileRole.STRIPPED, "/boot/vmlinux", ["executable"]),
    ],
)
def test_halves_of_a_pair(role: FileRole, path: str, types: list[str]) -> None:
    match = FileMatch(build_id=BUILD_ID, role=role, path=path, archive="a.rpm")
    assert [row.type for row in _results(match)] == types


def test_while_the_index_is_made_again_the_answer_is_not_complete(tmp_path: Path) -> None:
    fill_store(tmp_path / "store")
    with closing(Store(tmp_path / "store")) as store:
        query = MetadataQuery(key="file", value=M0)
        assert not _search(store, query).complete
        store.mend_index()
        assert _search(store, query).complete


def test_what_other_servers_list_is_listed_too(tmp_path: Path, server: LiveServer) -> None:
    query = urlencode({"key": "glob", "value": "/usr/lib/debug/*"})
    with live_server(tmp_path, f"upstreams = {[server.url]}") as ours:
        for _ in range(100):  # a new server looks over its store first
            if (listed := ours.ask(f"/metadata?{query}").json())["complete"]:
                break
            time.sleep(0.1)
        assert listed == server.ask(f"/metadata?{query}").json()


async def garbage(request: web.Request) -> web.StreamResponse:
    return web.Response(body=b'{"results": 1}')


async def old(request: web.Request) -> web.StreamResponse:
    raise web.HTTPServiceUnavailable


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" " * 65536)


async def elfutils(request: web.Request) -> web.StreamResponse:
    assert dict(request.query) == {"key": "file", "value": "/a b"}
    row = {"type": "executable", "buildid": BUILD_ID, "file": "/a b"}
    return web.json_response({"results": [row], "complete": True})


@pytest.mark.parametrize("other", [garbage, old, endless])
async def test_a_server_that_lists_nothing_leaves_the_answer_incomplete(
    tmp_path: Path, other: Answer
) -> None:
    async def work(federation: Federation) -> None:
        found = await federation.metadata({"key": "file", "value": "/a b"}, Asker())
        assert [result.file for result in found.results] == ["/a b"]
        assert not found.complete
        assert federation.states()[0].failures == 0, "it may have files nevertheless"

    await with_federation(tmp_path, work, other, elfutils)


async def test_when_all_answer_it_is_complete(tmp_path: Path) -> None:
    async def work(federation: Federation) -> None:
        found = await federation.metadata({"key": "file", "value": "/a b"}, Asker())
        assert (len(found.results), found.complete) == (2, True)
        far = Asker(forwarded_for=("10.0.0.1",) * 8)
        assert not (await federation.metadata({"key": "file", "value": "/a b"}, far)).results

    await with_federation(tmp_path, work, elfutils, elfutils)
