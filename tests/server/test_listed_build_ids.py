"""Build IDs that only a repository's list of files names: a real server, a repository by HTTP."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import Kernsym
from tests.distros.rpm_md_writer import Row, build_id_file, repository
from tests.elf_writer import module, vmlinux
from tests.live_server import TOKEN, LiveServer, live_server
from tests.rpm_writer import rpm
from tests.upstream import UpstreamServer

UNAME = "6.8.7-300.fc40.x86_64"
BANNER = (
    f"Linux version {UNAME} (mockbuild@fcbf90a6ba6d49db950d41ba55dc124b) (gcc (GCC) 14.0.1 "
    "20240411 (Red Hat 14.0.1-0), GNU ld version 2.41-34.fc40) #1 SMP PREEMPT_DYNAMIC "
    "Wed Apr 17 19:21:08 UTC 2024"
)
VMLINUX, EXT4, XFS, LISTED_ONLY = "ab" * 20, "cd" * 20, "ef" * 20, "12" * 20
NOBODY = "34" * 20
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
    with live_server(folder, settings + source(repo)) as server:
        yield server


def source(repo: UpstreamServer) -> str:
    return f"""
[[source]]
distro = "fedora"
kind = "rpm-md"
url = "{repo.url}/repo"
signature = "skip"
"""


def command(folder: Path, server: LiveServer | None = None, configuration: str = "") -> Kernsym:
    """The command on an empty store; without a server it starts its own."""
    home = folder / "home"
    home.mkdir()
    (home / "kernsym.toml").write_text(f"[builtin]\nsources = false\n{configuration}")
    environment = {
        "HOME": str(home),
        "KERNSYM_STORE": str(home / "store"),
        "KERNSYM_CONFIG": str(home / "kernsym.toml"),
        "DEBUGINFOD_URLS": "",
    }
    if server is not None:
        environment |= {"KERNSYM_URL": server.url, "KERNSYM_TOKEN": TOKEN}
    return Kernsym(home=home, environment=environment)


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


@pytest.mark.parametrize("settings", ["", "fetch_on_demand = false", "workers = 2"])
def test_the_command_brings_a_kernel_by_its_build_id(
    tmp_path: Path, repo: UpstreamServer, settings: str
) -> None:
    with serving(tmp_path, repo, settings) as server:
        kernsym = command(tmp_path, server)
        done = kernsym("fetch", "--modules", "ext4", VMLINUX)
    path = Path(done.stdout.strip())
    assert path.read_bytes() == FILES[f"{FOLDER}/vmlinux"]
    assert {file.name for file in path.parent.rglob("*.ko.debug")} == {"ext4.ko.debug"}
    assert repo.hits[f"/repo/{ROW.file}"] == 1


def test_the_command_does_it_without_a_shared_server(tmp_path: Path, repo: UpstreamServer) -> None:
    kernsym = command(tmp_path, configuration=source(repo))
    done = kernsym("fetch", VMLINUX.upper())
    assert Path(done.stdout.strip()).read_bytes() == FILES[f"{FOLDER}/vmlinux"]
    assert repo.hits[f"/repo/{ROW.file}"] == 1


def test_the_build_id_of_a_module_leads_to_its_kernel(tmp_path: Path, repo: UpstreamServer) -> None:
    with serving(tmp_path, repo) as server:
        done = command(tmp_path, server)("fetch", XFS)
        assert Path(done.stdout.strip()).read_bytes() == FILES[f"{FOLDER}/vmlinux"]
        assert server.ask(f"/buildid/{XFS}/debuginfo").body == module(XFS)


def test_of_a_build_id_that_nobody_has_it_is_said_who_was_asked(
    tmp_path: Path, repo: UpstreamServer
) -> None:
    kernsym = command(tmp_path, configuration=source(repo))
    repo.status_for = lambda path, hit: 403
    done = kernsym("fetch", NOBODY, status=5)
    assert "error[not-found-out]" in done.stderr and "403" in done.stderr
    repo.status_for = lambda path, hit: None
    done = kernsym("fetch", NOBODY, status=4)
    assert "error[not-held]" in done.stderr and f"{repo.url[7:]}/repo: lists no" in done.stderr
    done = kernsym("fetch", "--offline", NOBODY, status=5)
    assert "we are offline" in done.stderr


def test_a_folder_that_was_not_looked_through_may_have_it(tmp_path: Path) -> None:
    folder = f'[[source]]\ndistro = "fedora"\nkind = "directory"\nurl = "{tmp_path.as_uri()}"\n'
    done = command(tmp_path, configuration=folder)("fetch", NOBODY, status=5)
    assert "error[not-found-out]" in done.stderr and str(tmp_path) in done.stderr


def test_a_file_of_another_server_is_not_taken_for_a_kernel(tmp_path: Path) -> None:
    root = tmp_path / "peer"
    (root / "buildid" / NOBODY).mkdir(parents=True)
    (root / "buildid" / NOBODY / "debuginfo").write_bytes(vmlinux(BANNER, NOBODY))
    with UpstreamServer(root) as peer:
        kernsym = command(tmp_path, configuration=f'[server]\nupstreams = ["{peer.url}"]\n')
        for _ in range(2):
            done = kernsym("fetch", NOBODY, status=4)
            assert "only 127.0.0.1" in done.stderr and "is no kernel" in done.stderr
        assert peer.hits.total() == 1, "the file is kept"
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))
