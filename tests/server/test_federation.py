"""Build IDs that other servers have: real debuginfod processes, and loops of our own."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.debuginfod_process import PROGRAM, build_id_of, debuginfod, find, free_port
from tests.elf_assembler import run
from tests.live_server import live_server
from tests.upstream import UpstreamServer

NOBODY = "deadbeef" * 5


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a program, stripped, and its debug file beside it; as elfutils' tests do."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "program.s").write_text(".globl _start\n_start: nop\n")
    run(folder, "as", "-g", "-o", "program.o", "program.s")
    run(folder, "ld", "--build-id", "-o", "program", "program.o")
    run(folder, "eu-strip", "-g", "-f", "program.debug", "program")
    (folder / "program.o").unlink()
    return folder


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[UpstreamServer]:
    """A server whose files lie at `buildid/ID/debuginfo` of a folder."""
    root = tmp_path / "peer"
    root.mkdir()
    with UpstreamServer(root) as server:
        yield server


def publish(
    peer: UpstreamServer, build_id: str, content: bytes, artefact: str = "debuginfo"
) -> str:
    path = f"/buildid/{build_id}/{artefact}"
    file = peer.root / path.lstrip("/")
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    return path


def upstreams(*urls: str) -> str:
    return f"upstreams = {list(urls)}\nupstream_seconds = 2.0"


def test_debuginfod_find_gets_through_us_what_debuginfod_has(tmp_path: Path, files: Path) -> None:
    build_id = build_id_of(files / "program")
    with ExitStack() as stack:
        other = stack.enter_context(debuginfod(tmp_path, files))
        ours = stack.enter_context(live_server(tmp_path, upstreams(other.url)))
        for artefact, file in (("debuginfo", "program.debug"), ("executable", "program")):
            found = find(ours.url, tmp_path / "cache", artefact, build_id)
            assert found.returncode == 0, found.stderr
            assert Path(found.stdout.strip()).read_bytes() == (files / file).read_bytes()
        source = find(ours.url, tmp_path / "cache", "source", build_id, str(files / "program.s"))
        assert "_start: nop" in Path(source.stdout.strip()).read_text()
        missing = find(ours.url, tmp_path / "cache", "debuginfo", NOBODY)
        assert missing.returncode != 0


def test_workers_ask_too_and_only_once(tmp_path: Path, peer: UpstreamServer) -> None:
    path = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
    settings = f"workers = 2\n{upstreams(peer.url)}"
    with live_server(tmp_path, settings) as ours, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ours.ask, [path] * 8))
        assert {answer.body for answer in answers} == {PROGRAM.read_bytes()}
        assert ours.ask(path, Range="bytes=4-7").body == PROGRAM.read_bytes()[4:8]
        missing = ours.ask(f"/buildid/{NOBODY}/debuginfo")
        assert missing.status == 404 and "does not have it" in missing.json()["context"][-1]
    assert peer.hits[path] == 1


def test_what_came_is_kept_and_served_like_our_own(tmp_path: Path, peer: UpstreamServer) -> None:
    build_id, content = build_id_of(PROGRAM), PROGRAM.read_bytes()
    path = publish(peer, build_id, content)
    with live_server(tmp_path, upstreams(peer.url)) as ours:
        first = ours.ask(path)
        assert (first.status, first.body) == (200, content)
        assert ours.ask(path.replace(build_id, build_id.upper())).body == content
        head = ours.ask(path, method="HEAD")
        assert head.headers["X-DEBUGINFOD-SIZE"] == str(len(content)) and not head.body
        part = ours.ask(path, Range="bytes=4-7")
        assert (part.status, part.body) == (206, content[4:8])
        assert peer.hits == {path: 1}
    peer.root.rename(tmp_path / "gone")
    with live_server(tmp_path, upstreams(peer.url)) as again:
        assert again.ask(path).body == content


def test_a_program_and_its_debuginfo_are_two_files(tmp_path: Path, files: Path) -> None:
    build_id = build_id_of(files / "program")
    with ExitStack() as stack:
        other = stack.enter_context(debuginfod(tmp_path, files))
        ours = stack.enter_context(live_server(tmp_path, upstreams(other.url)))
        program = ours.ask(f"/buildid/{build_id}/executable").body
        debug = ours.ask(f"/buildid/{build_id}/debuginfo").body
        assert program == (files / "program").read_bytes() != debug


def test_the_question_tells_who_asks(tmp_path: Path, files: Path) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(debuginfod(tmp_path, files))
        ours = stack.enter_context(live_server(tmp_path, upstreams(other.url)))
        ours.ask(f"/buildid/{NOBODY}/debuginfo", User_Agent="TESTER", X_Forwarded_For="10.1.2.3")
        assert other.logged("UA:TESTER")
        assert other.logged("XFF:10.1.2.3,127.0.0.1")


def test_two_servers_that_ask_each_other_come_to_an_end(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    ports = [free_port(), free_port()]
    with ExitStack() as stack:
        servers = []
        for folder, own, other in zip(folders, ports, reversed(ports), strict=True):
            folder.mkdir()
            settings = upstreams(f"http://127.0.0.1:{other}")
            listen = ("--listen", f"127.0.0.1:{own}")
            servers.append(stack.enter_context(live_server(folder, settings, arguments=listen)))
        with ThreadPoolExecutor() as pool:
            asked = [pool.submit(one.ask, f"/buildid/{NOBODY}/debuginfo") for one in servers * 2]
            for answer in asked:
                assert answer.result().status == 404
        for one in servers:
            assert one.log.read_text().count(NOBODY) <= 8


def test_a_loop_through_debuginfod_ends_by_the_number_of_hops(tmp_path: Path, files: Path) -> None:
    ours_port, other_port = free_port(), free_port()
    with ExitStack() as stack:
        ours = stack.enter_context(
            live_server(
                tmp_path,
                upstreams(f"http://127.0.0.1:{other_port}"),
                arguments=("--listen", f"127.0.0.1:{ours_port}"),
            )
        )
        url = f"http://127.0.0.1:{ours_port}"
        stack.enter_context(debuginfod(tmp_path, files, urls=url, port=other_port))
        assert ours.ask(f"/buildid/{NOBODY}/debuginfo").status == 404
        assert ours.log.read_text().count(NOBODY) <= 10


def test_a_question_that_came_far_goes_no_farther(tmp_path: Path, peer: UpstreamServer) -> None:
    hops = ", ".join(f"10.0.0.{number}" for number in range(8))
    with live_server(tmp_path, upstreams(peer.url)) as ours:
        path = f"/buildid/{NOBODY}/debuginfo"
        assert ours.ask(path, X_Forwarded_For=hops).status == 404
        assert not peer.hits
        publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
        near = ours.ask(f"/buildid/{build_id_of(PROGRAM)}/debuginfo", X_Forwarded_For="10.0.0.1")
        assert near.status == 200


def test_a_miss_says_who_was_asked_and_is_remembered(tmp_path: Path, peer: UpstreamServer) -> None:
    path = f"/buildid/{NOBODY}/debuginfo"
    with live_server(tmp_path, upstreams(peer.url)) as ours:
        first, second = ours.ask(path), ours.ask(path)
    assert (first.status, second.status) == (404, 404)
    problem = first.json()
    assert problem["code"] == "not-held"
    assert f"{peer.url.removeprefix('http://')}: does not have it" in problem["context"]
    assert "answer of a few seconds ago" in second.json()["context"]
    assert peer.hits[path] == 1


def test_a_dead_server_is_named_and_then_left_alone(tmp_path: Path, peer: UpstreamServer) -> None:
    dead = f"127.0.0.1:{free_port()}"
    path = f"/buildid/{NOBODY}/debuginfo"
    with live_server(tmp_path, upstreams(f"http://{dead}", peer.url)) as ours:
        first, second = ours.ask(path), ours.ask(path)
        assert (first.status, second.status) == (502, 502), "nobody knows whether it exists"
        lines = [line for line in first.json()["context"] if line.startswith(dead)]
        assert "cannot be reached" in lines[0]
        lines = [line for line in second.json()["context"] if line.startswith(dead)]
        assert "not asked for another" in lines[0]
        here = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
        assert ours.ask(here).status == 200


def test_a_silent_server_does_not_keep_others_from_answering(
    tmp_path: Path, peer: UpstreamServer
) -> None:
    path = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with live_server(tmp_path, f"upstreams = {[url, peer.url]}") as ours:
            assert ours.ask(path).status == 200  # the silent one has 90 s


def test_many_who_ask_cause_one_question(tmp_path: Path, peer: UpstreamServer) -> None:
    content = PROGRAM.read_bytes()
    path = publish(peer, build_id_of(PROGRAM), content)
    peer.rate = 100_000.0
    with live_server(tmp_path, upstreams(peer.url)) as ours, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ours.ask, [path] * 12))
    assert [answer.body for answer in answers] == [content] * 12
    assert peer.hits[path] == 1


def test_who_wants_json_does_not_wait(tmp_path: Path, peer: UpstreamServer) -> None:
    path = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
    peer.rate = 5_000.0
    with live_server(tmp_path, upstreams(peer.url)) as ours:
        answer = ours.ask(path, Accept="application/json")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert answer.json()["code"] == "being-fetched"
        peer.rate = None
        assert ours.ask(path).status == 200
    assert peer.hits[path] == 1


def test_offline_nobody_is_asked(tmp_path: Path, peer: UpstreamServer) -> None:
    path = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
    with live_server(tmp_path, upstreams(peer.url), arguments=("--offline",)) as ours:
        assert ours.ask(path).status == 404
    assert not peer.hits


def test_the_environment_names_servers_where_it_shall(tmp_path: Path, peer: UpstreamServer) -> None:
    path = publish(peer, build_id_of(PROGRAM), PROGRAM.read_bytes())
    urls = f"BAD {peer.url.removeprefix('http://')}/ ima:enforcing"
    settings = "upstreams_from_environment = true"
    with live_server(tmp_path, settings, env={"DEBUGINFOD_URLS": urls}) as ours:
        assert ours.ask(path).status == 200
    with live_server(tmp_path, env={"DEBUGINFOD_URLS": urls}) as ours:
        assert ours.ask(f"/buildid/{NOBODY}/debuginfo").json()["context"] == [
            "packages: none is known to have it"
        ]
