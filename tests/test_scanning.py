"""`kernsym scan`: kernels whose packages lie somewhere in a folder, under any name, are found by
crash, by fetch and by a server; the real command, server and crash, and the worlds' packages."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from tests.conftest import DEBUG_PACKAGE, FACTS, SOURCE_PACKAGE, WORLD, Kernsym
from tests.debuginfod_process import build_id_of
from tests.live_server import TOKEN, LiveServer, live_server
from tests.processes import wait_for
from tests.story import COMMANDS, VMCORE, assert_everything_is_there

VMLINUX = FACTS.fingerprint.build_id or ""
RHEL = WORLD.parent / "rhel8"


@pytest.fixture
def alone(tmp_path: Path) -> Kernsym:
    """The command without any source of packages."""
    config = tmp_path / "kernsym.toml"
    config.write_text("[builtin]\nsources = false\n")
    environment = {
        "HOME": str(tmp_path),
        "KERNSYM_STORE": str(tmp_path / "store"),
        "KERNSYM_CONFIG": str(config),
    }
    return Kernsym(home=tmp_path, environment=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "packages"
    (folder / "deep/er").mkdir(parents=True)
    shutil.copy(WORLD / f"repo{DEBUG_PACKAGE}", folder / "deep/er/dbg (2).download")
    shutil.copy(WORLD / f"repo{SOURCE_PACKAGE}", folder / "deep/sources")
    return folder


def test_crash_opens_a_dump_from_packages_of_a_scanned_folder(alone: Kernsym, folder: Path) -> None:
    missed = alone("crash", VMCORE, text=COMMANDS, status=4)
    assert "error[not-published]" in missed.stderr
    said = alone("scan", folder).stdout
    assert said == f"{folder}  2 files, 2 packages of kernels, 0 build IDs; 2 read, 0 gone\n"
    lies = alone("identify", VMCORE).stdout
    assert f"lies at    {folder}/deep/er/dbg (2).download\n" in lies
    done = alone("crash", VMCORE, text=COMMANDS)
    assert_everything_is_there(done.stdout)
    assert f"{DEBUG_PACKAGE.rpartition('/')[2]}  {folder}/deep/er  no signature" in done.stderr
    assert "verified: banner and build ID equal the dump's" in done.stderr


def test_a_package_that_came_after_the_scan_is_found_too(alone: Kernsym, folder: Path) -> None:
    package = (folder / "deep/er/dbg (2).download").rename(folder.parent / "elsewhere")
    alone("scan", folder)
    alone("fetch", VMCORE, status=4)
    package.rename(folder / "now it is here")
    again = json.loads(alone("scan", "--json").stdout)
    assert (again["read"], again["gone"], again["packages"]) == (1, 0, 2)
    assert Path(alone("fetch", VMCORE).stdout.strip()).is_file()


def test_scan_tells_what_it_could_not_read_and_forgets(alone: Kernsym, folder: Path) -> None:
    (folder / "cut").write_bytes((folder / "deep/sources").read_bytes()[:100])
    (folder / "cut.rpm").write_bytes(b"\xed\xab\xee\xdb" + bytes(200))
    assert f"warning: not read: {folder}/cut.rpm: " in alone("scan", folder).stderr
    shutil.rmtree(folder)
    assert "error[folder-unreadable]" in alone("scan", status=2).stderr
    assert "forgotten" in alone("scan", "--forget").stderr
    assert "error[no-folders]" in alone("scan", status=2).stderr


def test_a_folder_that_is_watched(alone: Kernsym, folder: Path) -> None:
    process = alone.start("scan", "--watch", "--every", "0.2", folder)
    assert process.stdout is not None
    assert "2 packages of kernels" in process.stdout.readline()
    (folder / "deep/sources").unlink()
    assert process.stdout.readline().endswith(
        "1 packages of kernels, 0 build IDs; 0 read, 1 gone\n"
    )
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def ask(server: LiveServer, build_id: str, artefact: str = "debuginfo") -> tuple[int, bytes]:
    answer = server.ask(f"/buildid/{build_id}/{artefact}", Authorization=f"Bearer {TOKEN}")
    return answer.status, answer.body


def test_a_server_gives_files_of_folders_by_their_build_ids(tmp_path: Path, folder: Path) -> None:
    """A kernel's own from an RPM, whose header tells it; modules from a tree, as they lie there."""
    rpm = next(RHEL.glob("repo/content/**/kernel-debuginfo-4*.rpm"))
    shutil.copy(rpm, folder / "rhel.bin")
    tree = folder / "tree"
    subprocess.run(["dpkg-deb", "-x", folder / "deep/er/dbg (2).download", tree], check=True)
    (folder / "deep/er/dbg (2).download").unlink()
    module = next(tree.glob("**/overlay.ko"))
    (vmlinux,) = (path for path in tree.glob("**/vmlinux-*") if not path.is_symlink())
    source = f'[[source]]\ndistro = "*"\nkind = "directory"\nurl = "{folder.as_uri()}"'
    with live_server(tmp_path, source) as server:
        wait_for(lambda: ask(server, build_id_of(module))[0] == 200)
        assert ask(server, build_id_of(module)) == (200, module.read_bytes())
        assert ask(server, VMLINUX, "section/.comment")[0] == 200
        assert ask(server, VMLINUX, "executable") == (200, vmlinux.read_bytes())
        from_rpm = _build_id_of_module(rpm)
        status, body = ask(server, from_rpm)
        assert status == 200 and body.startswith(b"\x7fELF")
        kernels = server.ask("/api/v1/kernels").json()["kernels"]
        assert [kernel["kernel"]["distro"] for kernel in kernels] == ["rhel"]
        module.write_bytes(b"another file by now")
        assert ask(server, build_id_of(vmlinux))[0] == 200


def _build_id_of_module(rpm: Path) -> str:
    listed = subprocess.run(["rpm", "-qlp", rpm], capture_output=True, text=True, check=True)
    links = [
        line for line in listed.stdout.split() if line.endswith(".debug") and ".build-id" in line
    ]
    return "".join(links[0].removesuffix(".debug").split("/")[-2:])
