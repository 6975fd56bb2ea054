"""What the debuginfod addresses answer, asked of a server process on the bundled world."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kernsym.server.binaries.sections import read_sections
from tests.conftest import KERNEL
from tests.live_server import Answer, LiveServer, live_server
from tests.server.world_store import World

DEB = f"linux-image-{KERNEL.uname}-dbg_{KERNEL.version}_amd64.deb"


@pytest.fixture
def path(world: World) -> str:
    """Of a module, as an address."""
    return f"/buildid/{world.module('overlay').build_id}/debuginfo"


@pytest.fixture
def content(world: World) -> bytes:
    return world.content(world.module("overlay"))


def test_every_file_is_given_with_what_debuginfod_says_of_it(
    world: World, world_server: LiveServer
) -> None:
    for file in filter(lambda file: file.build_id, world.bundle.files):
        for artefact in ("debuginfo", "executable"):
            answer = world_server.ask(f"/buildid/{file.build_id}/{artefact}")
            assert answer.status == 200 and answer.body == world.content(file)
            assert answer.headers["Content-Type"] == "application/octet-stream"
            assert answer.headers["X-DEBUGINFOD-SIZE"] == str(file.size)
            assert answer.headers["X-DEBUGINFOD-FILE"] == file.path.removeprefix("root")
            assert answer.headers["X-DEBUGINFOD-ARCHIVE"] == DEB
            assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["Accept-Ranges"] == "bytes"
            assert re.fullmatch(f'"{file.build_id}-{artefact}-[0-9a-f]{{16}}"', tag(answer))


def test_head_says_the_same_without_a_body(path: str, world_server: LiveServer) -> None:
    get, head = (world_server.ask(path, method=method) for method in ("GET", "HEAD"))
    assert head.status == 200 and head.body == b""
    said = [dict(answer.headers.items()) for answer in (get, head)]
    for headers in said:
        del headers["Date"], headers["X-Request-ID"]
    assert said[0] == said[1] and int(said[1]["Content-Length"]) == len(get.body)
    ranged = world_server.ask(path, method="HEAD", Range="bytes=0-1")
    assert ranged.status == 200, "a range has no meaning for HEAD"


def test_a_build_id_in_any_case(world: World, world_server: LiveServer) -> None:
    build_id = world.vmlinux.build_id or ""
    mixed = build_id[:10].upper() + build_id[10:]
    for text in (build_id, build_id.upper(), mixed):
        assert world_server.ask(f"/buildid/{text}/debuginfo", method="HEAD").status == 200


@pytest.mark.parametrize(
    "text", ["abc", "abcdef", "abcdef0", "xyz0" * 10, "ab" * 33, "%20" * 8, "ab" * 20 + "%0a"]
)
@pytest.mark.parametrize("what", ["debuginfo", "executable", "section/.text", "source/a.c"])
def test_what_is_no_build_id_is_said_so(text: str, what: str, world_server: LiveServer) -> None:
    answer = world_server.ask(f"/buildid/{text}/{what}")
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["code"] == "build-id-invalid" and "8 to 64" in problem["hint"]


@pytest.mark.parametrize("what", ["debuginfo", "executable", "section/.text", "source/a.c"])
def test_a_miss_says_why_and_is_kept_for_a_short_while(what: str, world_server: LiveServer) -> None:
    answer = world_server.ask(f"/buildid/{'ab' * 20}/{what}")
    assert answer.status == 404 and answer.json()["code"] == "not-held"
    seconds = re.search(r"max-age=(\d+)", answer.headers["Cache-Control"])
    assert seconds and 0 < int(seconds[1]) <= 600


def test_sections(world: World, world_server: LiveServer) -> None:
    for file in (world.vmlinux, world.module("overlay")):
        whole = world.content(file)
        places = read_sections(world.folder / file.path).places
        for name in (".debug_info", ".debug_line", ".text", ".symtab", ".comment"):
            offset, size = places[name]
            answer = world_server.ask(f"/buildid/{file.build_id}/section/{name}")
            assert answer.status == 200 and answer.body == whole[offset : offset + size]
            assert answer.headers["X-DEBUGINFOD-SIZE"] == str(size)
            part = world_server.ask(f"/buildid/{file.build_id}/section/{name}", Range="bytes=3-9")
            assert part.status == 206 and part.body == whole[offset + 3 : offset + 10]


@pytest.mark.parametrize("name", [".gdb_index", ".debug_types", ".bss", "x" * 3000, "a%00b", "a/b"])
def test_a_section_that_there_is_not(name: str, world: World, world_server: LiveServer) -> None:
    answer = world_server.ask(f"/buildid/{world.vmlinux.build_id}/section/{name}")
    assert answer.status == (400 if "%00" in name else 404)
    assert answer.json()["code"] == ("name-invalid" if "%00" in name else "section-missing")


@pytest.mark.parametrize(
    "name",
    [
        "kernel/panic.c",
        "/kernel/panic.c",
        "//kernel//panic.c",
        "%2Fkernel%2Fpanic.c",
        "kernel/%70anic.c",
        "kernel/./sched/../panic.c",
        "../../kernel/panic.c",
        "debian/build/build_amd64_none_amd64/kernel/panic.c",
    ],
)
def test_sources(name: str, world: World, world_server: LiveServer) -> None:
    for file in (world.vmlinux, world.module("overlay")):
        answer = world_server.ask(f"/buildid/{file.build_id}/source/{name}")
        assert answer.status == 200
        assert answer.body == (world.sources / "kernel/panic.c").read_bytes()
        assert answer.headers["X-DEBUGINFOD-FILE"] == "/usr/src/linux-source-6.1/kernel/panic.c"
        assert answer.headers["X-DEBUGINFOD-ARCHIVE"].startswith("linux-source-6.1_")


def test_a_source_that_there_is_not(world: World, world_server: LiveServer) -> None:
    for name in ("kernel/no-such.c", "kernel", "x" * 300, "/etc/passwd", "include/generated/a.h"):
        answer = world_server.ask(f"/buildid/{world.vmlinux.build_id}/source/{name}")
        assert answer.status == 404 and answer.json()["code"] == "source-missing"


def test_a_client_may_say_how_much_it_takes(
    path: str, content: bytes, world_server: LiveServer
) -> None:
    for most, status in (("0", 200), ("x", 200), ("1000", 406), (str(len(content)), 200)):
        answer = world_server.ask(path, method="HEAD", X_DEBUGINFOD_MAXSIZE=most)
        assert answer.status == status


def test_what_was_removed_is_not_answered_from_memory(tmp_path: Path, world: World) -> None:
    shutil.copytree(world.folder.parents[4], tmp_path / "store", symlinks=True)
    path = f"/buildid/{world.module('crc_ccitt').build_id}/debuginfo"
    with live_server(tmp_path) as server:
        assert [server.ask(path).status for _ in range(2)] == [200, 200]
        kernel = f"/api/v1/kernels/{KERNEL.key}"
        assert server.ask(kernel, method="DELETE", Authorization="Bearer t0ken").status == 204
        assert server.ask(path).status == 404


def test_web_pages_may_ask_where_that_is_configured(
    tmp_path: Path, world_home: Path, path: str, world_server: LiveServer
) -> None:
    (tmp_path / "store").symlink_to(world_home / "store")
    origin = "https://debugger.example"
    closed = world_server.ask(path, method="HEAD", Origin=origin)
    assert "Access-Control-Allow-Origin" not in closed.headers
    with live_server(tmp_path, f'cors_origins = ["{origin}"]\ntoken_for_reads = true') as server:
        preflight = server.ask(
            path, method="OPTIONS", Origin=origin, Access_Control_Request_Method="GET"
        )
        assert (
            preflight.status == 204 and "Range" in preflight.headers["Access-Control-Allow-Headers"]
        )
        mine = server.ask(path, method="HEAD", Origin=origin, Authorization="Bearer t0ken")
        other = server.ask(path, method="HEAD", Origin="https://x.example")
    assert mine.headers["Access-Control-Allow-Origin"] == origin
    assert "X-DEBUGINFOD-SIZE" in mine.headers["Access-Control-Expose-Headers"]
    assert mine.headers["Vary"] == "Accept-Encoding, Origin"
    assert mine.headers["Cache-Control"].startswith("private"), "not for everybody's cache"
    assert other.status == 401 and "Access-Control-Allow-Origin" not in other.headers


def tag(answer: Answer) -> str:
    return answer.headers["ETag"]
