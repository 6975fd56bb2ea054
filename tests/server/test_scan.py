"""Scanning folders: what packages and ELF files say of themselves, and what has changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.cache.scanned import Scanned
from kernsym.distros import Unusable
from kernsym.server.scan.walk import Report, Stopped, scan
from tests import elf_writer
from tests.conftest import DEBUG_PACKAGE, WORLD
from tests.debuginfod_process import build_id_of
from tests.processes import wait_for
from tests.rpm_writer import rpm

WORLDS = WORLD.parent
RHEL = "kernel-debuginfo-4.18.0-553.999.1.el8_10.x86_64.rpm"
DEBIAN = DEBUG_PACKAGE.rpartition("/")[2]


@pytest.fixture
def scanned(tmp_path: Path) -> Iterator[Scanned]:
    index = Scanned(tmp_path / "index", tmp_path / "locks/scanned")
    yield index
    index.close()


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tree = tmp_path_factory.mktemp("unpacked")
    subprocess.run(["dpkg-deb", "-x", WORLD / f"repo{DEBUG_PACKAGE}", tree], check=True)
    return tree


@pytest.fixture
def folder(tmp_path: Path, unpacked: Path) -> Path:
    """Real packages under names of somebody's own, and a tree that was unpacked."""
    folder = tmp_path / "folder"
    (folder / "a/b").mkdir(parents=True)
    rpm = next(WORLDS.glob(f"rhel8/repo/content/**/{RHEL}"))
    shutil.copy(rpm, folder / "a/b/downloaded(1)")
    shutil.copy(WORLD / f"repo{DEBUG_PACKAGE}", folder / "a/debug.bin")
    shutil.copytree(unpacked, folder / "tree", symlinks=True)
    (folder / "notes").write_text("no package and no kernel")
    (folder / "library.a").write_bytes(b"!<arch>\nnothing of it is read")
    (folder / "cut.rpm").write_bytes(rpm.read_bytes()[:5000])
    return folder


def test_packages_are_known_by_the_names_that_they_give_themselves(
    scanned: Scanned, folder: Path
) -> None:
    report = scan(folder, scanned)
    assert scanned.packages(folder, RHEL) == (folder / "a/b/downloaded(1)",)
    assert scanned.packages(folder, DEBIAN) == (folder / "a/debug.bin",)
    assert set(scanned.names(folder)) == {RHEL, DEBIAN}
    assert scanned.unlisted() == ((folder / "a/debug.bin", DEBIAN),)
    assert report.refused == 1 and report.unreadable[0].startswith(f"{folder}/cut.rpm: ")


def test_the_header_of_an_rpm_tells_the_build_ids_of_its_files(
    scanned: Scanned, folder: Path, tmp_path: Path
) -> None:
    scan(folder, scanned)
    package = folder / "a/b/downloaded(1)"
    subprocess.run(f"rpm2cpio '{package}' | cpio -id --quiet", shell=True, cwd=tmp_path, check=True)
    modules = [*tmp_path.glob("usr/lib/debug/**/*.ko.debug")]
    (vmlinux,) = tmp_path.glob("usr/lib/debug/**/vmlinux")
    assert modules
    for path in (*modules, vmlinux):
        found = scanned.find(build_id_of(path))
        assert found is not None and (found.path, found.package) == (package, RHEL)
        assert found.module == path.name.partition(".")[0].replace("-", "_").replace("vmlinux", "")
        assert found.kernel_build_id == build_id_of(vmlinux)


def test_kernels_and_modules_of_a_tree_are_found_in_it(scanned: Scanned, folder: Path) -> None:
    scan(folder, scanned)
    (vmlinux,) = (path for path in folder.glob("tree/**/vmlinux-*") if not path.is_symlink())
    found = scanned.find(build_id_of(vmlinux))
    assert found is not None and (found.path, found.package, found.module) == (vmlinux, "", "")
    assert scanned.find_vmlinux(found.banner, None) == found
    assert scanned.find_vmlinux(found.banner, build_id_of(vmlinux)) == found
    assert scanned.find_vmlinux(found.banner, "ab" * 20) is None
    assert scanned.find_vmlinux(found.banner + " ", None) is None
    assert scanned.find_vmlinux(None, "123456789") is None  # no whole bytes
    assert scanned.find("123456789") is None
    uname = vmlinux.name.partition("-")[2]
    modules = dict(scanned.modules_of(vmlinux, uname))
    assert modules == {path.stem.replace("-", "_"): path for path in folder.glob("tree/**/*.ko")}
    assert scanned.modules_of(vmlinux, "another") == ()


def test_a_second_scan_reads_nothing_and_sees_what_has_changed(
    scanned: Scanned, folder: Path
) -> None:
    first = scan(folder, scanned)
    assert first.read == first.files > 10
    assert scan(folder, scanned) == Report(files=first.files)
    module = next(folder.glob("tree/**/overlay.ko"))
    before = build_id_of(module)
    module.write_bytes(elf_writer.module("12" * 20))
    (folder / "a/debug.bin").touch()
    (folder / "a/b/downloaded(1)").unlink()
    shutil.rmtree(folder / "tree/usr/share")
    report = scan(folder, scanned)
    assert (report.read, report.gone) == (2, 2)
    assert scanned.find(before) is None
    changed = scanned.find("12" * 20)
    assert changed is not None and changed.path == module
    assert scanned.names(folder) == (DEBIAN,)


def test_a_folder_that_is_not_there_is_not_forgotten(scanned: Scanned, folder: Path) -> None:
    scan(folder, scanned)
    away = folder.rename(folder.with_name("unmounted"))
    with pytest.raises(Unusable, match="so nothing of it is forgotten"):
        scan(folder, scanned)
    assert RHEL in scanned.names(folder)
    assert scanned.packages(folder, RHEL) == ()  # but nobody is led to it
    away.rename(folder)
    assert scan(folder, scanned).read == 0
    assert scanned.forget(folder) and not scanned.forget(folder)
    assert scanned.names(folder) == () and scanned.roots() == {}


def test_what_cannot_be_read_for_a_while_is_not_forgotten(
    scanned: Scanned, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root reads everything, so the disk fails instead."""
    scan(folder, scanned)
    real = os.scandir

    def failing(path: Path) -> object:
        if path == folder / "tree/usr/lib":
            raise OSError(5, "Input/output error")
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr("kernsym.server.scan.walk.os.scandir", failing)
        report = scan(folder, scanned)
    assert (report.gone, report.unreadable[-1:]) == (
        0,
        [f"{folder}/tree/usr/lib: Input/output error"],
    )
    module = next(folder.glob("tree/**/overlay.ko"))
    found = scanned.find(build_id_of(module))
    assert found is not None and found.path == module
    assert scan(folder, scanned).read == 0


def test_nothing_that_lies_there_stops_a_scan(scanned: Scanned, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    (folder / os.fsdecode(b"\xff.rpm")).write_bytes(b"\xed\xab\xee\xdb")
    (folder / os.fsdecode(b"\xfe")).mkdir()
    (folder / "vmlinux").write_bytes(elf_writer.vmlinux()[:200])
    (folder / "x.ko").write_bytes(b"\x7fELF\x07\x09")
    (folder / "empty.ko").touch()
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "fifo.ko")
    for cut in range(0, 400, 7):
        (folder / f"cut{cut}.ko").write_bytes(elf_writer.module("12" * 20)[:cut])
    head = rpm([("./x", b"x")], tags={1117: ["a.debug"], 1118: ["/"], 1116: (7,), 1036: ["b"]})
    for cut in range(96, len(head), 31):
        (folder / f"cut{cut}.rpm").write_bytes(head[:cut])
    (folder / "wrong.rpm").write_bytes(head.replace(b"kernel-debuginfo", b"kernel/../../../"))
    good = folder / "good.ko"
    good.write_bytes(elf_writer.module("34" * 20))
    report = scan(folder, scanned)
    assert report.refused > 20
    found = scanned.find("34" * 20)
    assert found is not None and found.path == good
    assert not any("/" in name for name in scanned.names(folder))


def test_a_scan_that_was_stopped_is_gone_on_with(scanned: Scanned, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(600):
        (folder / f"m{number}.ko").write_bytes(elf_writer.module(f"{number:040x}"))
    asked = iter((False, True))
    with pytest.raises(Stopped):
        scan(folder, scanned, stop=lambda: next(asked))
    assert scan(folder, scanned).read == 600 - 256
    assert scanned.totals(folder) == (600, 0, 600)


KILLED = """
import sys, time
from pathlib import Path
from kernsym.cache.scanned import Scanned
from kernsym.server.scan.walk import scan
root = Path(sys.argv[1])
scan(root / "many", Scanned(root / "index", root / "locks/scanned"), on_progress=lambda report: (
    print(report.read, flush=True), time.sleep(60)))
"""


def test_what_a_killed_scan_has_read_is_kept(scanned: Scanned, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"m{number}.ko").write_bytes(elf_writer.module(f"{number:040x}"))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "256\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    wait_for(lambda: process.returncode is not None)
    assert scan(folder, scanned).read == 44
