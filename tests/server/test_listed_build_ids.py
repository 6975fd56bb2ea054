"""Build IDs that only a repository's list of files names: a real server, a repository by HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.distros.rpm_md_writer import Row, build_id_file, repository
from tests.elf_writer import module, vmlinux
from tests.live_server import LiveServer, live_server
from tests.rpm_writer import rpm
from tests.upstream import UpstreamServer

UNAME = "6.8.7-300.fc40.x86_64"
BANNER = (
    f"Linux version {UNAME} (mockbuild@fcbf90a6ba6d49db950d41ba55dc124b) (gcc (GCC) 14.0.1 "
    "20240411 (Red Hat 14.0.1-0), GNU ld version 2.41-34.fc40) #1 SMP PREEMPT_DYNAMIC "
    "Wed Apr 17 19:21:08 UTC 2024"
)
VMLINUX, EXT4, XFS, LISTED_ONLY = "ab" * 20, "cd" * 20, "ef" * 20, "12" * 20
FOLDER = f"/usr/lib/debug/lib/modules/{UNAME}"
FILES = {
    f"{FOLDER}/kernel/fs/ext4/ext4.ko.debug": module(EXT4),
    f"{FOLDER}/kernel/fs/xfs/xfs.ko.debug": module(XFS),
    f"{FOLDER}/vmlinux": vmlinux(BANNER, VMLINUX),
}
CONTENT = rpm([(f".{path}", content) for path, content in FILES.items()])
ROW = Row(
    name="kernel-debuginfo",
    version="6.8.7",
    release="300.fc40",
    files=(*FILES, *map(build_id_file, (VMLINUX, EXT4, XFS, LISTED_ONLY))),
    size=len(CONTENT),
    checksum=("sha256", hashlib.sha256(CONTENT).hexdigest()),
)


@pytest.fixture
def repo(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "mirror"
    pages = repository("repo", [ROW]) | {f"repo/{ROW.file}": CONTENT}
    for name, body in pages.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    with UpstreamServer(root) as server:
        yield server


@contextmanager
def serving(folder: Path, repo: UpstreamServer, settings: str = "") -> Iterator[LiveServer]:
    source = f"""
[[source]]
distro = "fedora"
kind = "rpm-md"
url = "{repo.url}/repo"
signature = "skip"
"""
    with live_server(folder, settings + source) as server:
        yield server


def test_a_vmlinux_comes(tmp_path: Path, repo: UpstreamServer) -> None:
    with serving(tmp_path, repo) as server:
        answer = server.ask(f"/buildid/{VMLINUX}/debuginfo")
        assert (answer.status, answer.body) == (200, FILES[f"{FOLDER}/vmlinux"])
    assert repo.hits[f"/repo/{ROW.file}"] == 1


def test_a_module_comes_alone_and_its_package_once(tmp_path: Path, repo: UpstreamServer) -> None:
    with serving(tmp_path, repo) as server:
        for build_id in (EXT4, XFS):
            answer = server.ask(f"/buildid/{build_id}/debuginfo")
            assert (answer.status, answer.body) == (200, module(build_id))
            if build_id == EXT4:
                bundles = server.ask("/metadata?key=glob&value=/*/*/*/*/*/*/*/*/*/*").json()
                assert {row["buildid"] for row in bundles["results"]} == {EXT4}
    assert repo.hits[f"/repo/{ROW.file}"] == 1


def test_what_is_listed_and_not_there_is_a_miss(tmp_path: Path, repo: UpstreamServer) -> None:
    with serving(tmp_path, repo) as server:
        for _ in range(2):
            answer = server.ask(f"/buildid/{LISTED_ONLY}/debuginfo")
            assert answer.status == 404
            assert any("has it not" in line for line in answer.json()["context"])
    assert repo.hits[f"/repo/{ROW.file}"] == 1


def test_where_packages_are_not_looked_through_that_is_said(
    tmp_path: Path, repo: UpstreamServer
) -> None:
    with serving(tmp_path, repo, "index_packages = false") as server:
        answer = server.ask(f"/buildid/{EXT4}/debuginfo")
        assert answer.status == 502
        assert any("was not looked through" in line for line in answer.json()["context"])
        assert server.ask(f"/buildid/{VMLINUX}/debuginfo").status == 200
    assert repo.hits[f"/repo/{ROW.file}"] == 1
