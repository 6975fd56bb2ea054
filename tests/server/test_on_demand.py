"""A build ID that is not held has its kernel, or just its module, brought: a real server, the
bundled world."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kernsym.cache import Store
from kernsym.distros import MemberKind, catalog
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.unpack import ExtractedFile, extract
from tests.conftest import BANNER, DEBUG_PACKAGE, FACTS, KERNEL, SOURCE_PACKAGE, WORLD
from tests.live_server import TOKEN, Answer, LiveServer, live_server
from tests.processes import wait_for
from tests.upstream import UpstreamServer

VMLINUX = FACTS.fingerprint.build_id or ""
SOURCES = ("kernel/panic.c", "kernel/module/main.c", "fs/overlayfs/super.c")
BEARER = f"Bearer {TOKEN}"


@contextmanager
def serving(
    folder: Path, mirror: UpstreamServer, settings: str = "", **options: Any
) -> Iterator[LiveServer]:
    """A shared server whose packages come from the world's mirror."""
    source = f"""
[[source]]
distro = "debian"
kind = "apt"
url = "{mirror.url}"
suite = "bookworm"
signed_by = ["{WORLD / "archive-key.asc"}"]
"""
    with live_server(folder, settings + source, **options) as server:
        yield server


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ExtractedFile]:
    """The modules of the world's package, unpacked, by name."""
    package = GrowingFile()
    path = WORLD / "repo" / DEBUG_PACKAGE.lstrip("/")
    package.begin(path)
    package.grown(path.stat().st_size, whole=True)
    package.finish()
    files: list[ExtractedFile] = []
    layout = catalog()["debian"].layout(KERNEL)
    into = tmp_path_factory.mktemp("modules")
    extract(package, layout, lambda kind, name, path: True, into, files.append)
    package.close()
    return {file.name: file for file in files if file.kind is MemberKind.MODULE}


def bring(server: LiveServer, *names: str) -> dict[str, Any]:
    """Have the kernel with these modules brought, as a client with a dump does; the job."""
    body = {"fingerprint": {"banner": BANNER}, "modules": list(names)}
    asked = server.ask(
        "/api/v1/symbols", method="POST", body=json.dumps(body).encode(), Authorization=BEARER
    )
    assert asked.status == 202, asked.body
    job: dict[str, Any] = asked.json()
    return job


def remove(server: LiveServer) -> None:
    path = f"/api/v1/kernels/{KERNEL.key}"
    assert server.ask(path, method="DELETE", Authorization=BEARER).status == 204


def state(server: LiveServer, job: dict[str, Any]) -> str:
    shown: str = server.ask(f"/api/v1/jobs/{job['id']}", Authorization=BEARER).json()["state"]
    return shown


def wait_for_job(server: LiveServer, job: dict[str, Any]) -> None:
    wait_for(lambda: state(server, job) not in ("queued", "running"))
    assert state(server, job) == "done"


def held_modules(server: LiveServer) -> list[str]:
    kernel = server.ask(f"/api/v1/kernels/{KERNEL.key}").json()
    return [file["name"] for file in kernel["files"] if file["role"] == "module"]


def debuginfo(server: LiveServer, build_id: str | None, Accept: str = "*/*") -> Answer:
    return server.ask(f"/buildid/{build_id}/debuginfo", Accept=Accept)


def wait_until_listed(server: LiveServer) -> None:
    wait_for(lambda: server.logged("are known"), 120)  # it yields to all others


def test_a_module_that_was_not_unpacked_is_given_by_its_build_id(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    wanted = modules["overlay"]
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        wait_until_listed(server)
        answer = debuginfo(server, wanted.build_id)
        assert (answer.status, len(answer.body)) == (200, wanted.size)
        wait_for(lambda: held_modules(server) == ["overlay"])  # just this one
    assert mirror.hits[DEBUG_PACKAGE] == 1


def test_a_worker_has_it_brought(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    wanted = modules["overlay"]
    with serving(tmp_path, mirror, "workers = 2") as server:
        wait_for_job(server, bring(server))
        wait_until_listed(server)
        for _ in range(2):
            answer = debuginfo(server, wanted.build_id)
            assert (answer.status, len(answer.body)) == (200, wanted.size)
        assert server.ask(f"/buildid/{VMLINUX}/source/kernel/panic.c").status == 200
        found = server.ask("/metadata?key=glob&value=/*/*/*/*/*/*/kernel/*/*/overlay.ko").json()
        assert {row["buildid"] for row in found["results"]} == {wanted.build_id}


def test_what_was_learned_outlives_the_server(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        wait_until_listed(server)
    for path in (tmp_path / "store/index").glob("known-*"):
        path.write_bytes(b"garbage")
    with serving(tmp_path, mirror, arguments=("--offline",)) as server:
        for module in list(modules.values())[:2]:
            wait_for(lambda: debuginfo(server, module.build_id).status == 200)  # noqa: B023


def test_a_server_that_was_stopped_too_early_is_made_up_for(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    with serving(tmp_path, mirror, "index_packages = false") as server:
        wait_for_job(server, bring(server))
        assert debuginfo(server, modules["overlay"].build_id).status == 404
    with serving(tmp_path, mirror) as server:
        wait_until_listed(server)
        assert debuginfo(server, modules["overlay"].build_id).status == 200


def test_a_kernel_that_was_removed_comes_again(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server, "overlay"))
        kernel = f"/api/v1/kernels/{KERNEL.key}"
        for build_id in (VMLINUX, modules["overlay"].build_id):
            wait_for(lambda: server.ask(kernel).status == 200)  # vmlinux is given before that
            gone = server.ask(kernel, method="DELETE", Authorization=BEARER)
            assert gone.status == 204
            before = mirror.hits[DEBUG_PACKAGE]
            with ThreadPoolExecutor(6) as pool:
                answers = list(pool.map(lambda _: debuginfo(server, build_id), range(6)))  # noqa: B023
            assert {answer.status for answer in answers} == {200}
            assert answers[0].body.startswith(b"\x7fELF")
            assert mirror.hits[DEBUG_PACKAGE] == before + 1, "one job for all"
            wait_for(lambda: server.ask(f"/api/v1/kernels/{KERNEL.key}").status == 200)


def test_a_vmlinux_is_given_before_the_rest_of_its_package_has_come(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    with serving(tmp_path, mirror) as server:
        mirror.rate = 400_000.0
        job = bring(server)
        assert debuginfo(server, VMLINUX).status == 404, "nobody knows what is on its way"
        wait_for(lambda: state(server, job) == "done" or server.logged("vmlinux: verified"))
        answer = debuginfo(server, VMLINUX)
        assert answer.status == 200 and answer.body.startswith(b"\x7fELF")
        assert state(server, job) == "running"
        assert not (tmp_path / "store/kernels" / KERNEL.key / "manifest.json").exists()
        wait_for_job(server, job)
        assert debuginfo(server, VMLINUX).body == answer.body


def test_a_program_that_takes_json_gets_the_job(tmp_path: Path, mirror: UpstreamServer) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        remove(server)
        mirror.rate = 1_000_000.0
        answer = debuginfo(server, VMLINUX, Accept="application/json")
        assert (answer.status, answer.headers["Retry-After"]) == (202, "5")
        job = answer.json()
        assert answer.headers["Location"] == f"/api/v1/jobs/{job['id']}"
        assert job["kernel"]["uname"] == KERNEL.uname
        mirror.rate = None
        wait_for_job(server, job)
        assert debuginfo(server, VMLINUX, Accept="application/json").status == 200


def test_nothing_is_fetched_where_it_shall_not(tmp_path: Path, mirror: UpstreamServer) -> None:
    with serving(tmp_path, mirror, "fetch_on_demand = false") as server:
        wait_for_job(server, bring(server))
        remove(server)
        mirror.hits.clear()
        missing = debuginfo(server, VMLINUX)
        assert missing.status == 404
        assert "packages: none is fetched because of a build ID" in missing.json()["context"]
    assert not mirror.hits


def test_why_a_kernel_does_not_come_is_said(tmp_path: Path, mirror: UpstreamServer) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        remove(server)
        mirror.status_for = lambda path, hit: 403
        answer = debuginfo(server, VMLINUX)
        assert answer.status == 502
        assert any("127.0.0.1" in line for line in answer.json()["context"])
        mirror.status_for = lambda path, hit: None
        assert debuginfo(server, VMLINUX).status == 200, "what could not be asked is not remembered"


def test_the_list_of_modules_is_whole(
    tmp_path: Path, mirror: UpstreamServer, modules: dict[str, ExtractedFile]
) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        wait_until_listed(server)
    store = Store(tmp_path / "store")
    known = store.known.read(KERNEL.key)
    store.close()
    assert known is not None and (known.banner, known.build_id) == (BANNER, VMLINUX)
    assert known.modules == {file.build_id: name for name, file in modules.items()}


def test_sources_come_with_the_first_that_is_asked_for(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        with ThreadPoolExecutor(4) as pool:
            paths = [f"/buildid/{VMLINUX}/source/{path}" for path in SOURCES]
            answers = list(pool.map(server.ask, paths))
        assert [answer.status for answer in answers] == [200] * len(SOURCES)
        assert b"panic(" in answers[0].body
        missing = server.ask(f"/buildid/{VMLINUX}/source/no/such.c")
        assert (missing.status, missing.json()["code"]) == (404, "source-missing")
    assert mirror.hits[SOURCE_PACKAGE] == 1


def test_sources_that_were_missed_come_once_their_kernel_is_held(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    path = f"/buildid/{VMLINUX}/source/{SOURCES[0]}"
    with serving(tmp_path, mirror) as server:
        assert server.ask(path).status == 404
        wait_for_job(server, bring(server))
        assert server.ask(path).status == 200


def test_sources_that_do_not_come_are_asked_for_once(
    tmp_path: Path, mirror: UpstreamServer
) -> None:
    mirror.status_for = lambda path, hit: 404 if path == SOURCE_PACKAGE else None
    with serving(tmp_path, mirror) as server:
        wait_for_job(server, bring(server))
        for path in SOURCES:
            answer = server.ask(f"/buildid/{VMLINUX}/source/{path}")
            assert answer.status == 502
            assert any("does not have it" in line for line in answer.json()["context"])
    assert mirror.hits[SOURCE_PACKAGE] == 1


@pytest.mark.parametrize("which", ["vmlinux", "overlay"])
def test_packages_that_lie_in_a_folder_are_known_before_anybody_asked_for_their_kernel(
    tmp_path: Path, modules: dict[str, ExtractedFile], which: str
) -> None:
    folder = tmp_path / "packages"
    folder.mkdir()
    for package in (DEBUG_PACKAGE, SOURCE_PACKAGE):
        (folder / Path(package).name).symlink_to(WORLD / "repo" / package.lstrip("/"))
    (folder / "README").write_text("no package")
    source = f"""
[[source]]
distro = "debian"
kind = "directory"
url = "{folder.as_uri()}"
signature = "skip"
"""
    with live_server(tmp_path, source) as server:
        wait_until_listed(server)
        build_id = VMLINUX if which == "vmlinux" else modules[which].build_id
        answer = debuginfo(server, build_id)
        assert answer.status == 200 and answer.body.startswith(b"\x7fELF")
        assert server.log.read_text().count("are known") == 1
