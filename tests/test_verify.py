"""`kernsym verify` finds every kind of damage, and mends it."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path

import pytest

from kernsym.cache import Bundle, FileRole
from tests.conftest import KERNEL, Kernsym
from tests.server.world_store import read_world
from tests.story import VMCORE

FOLDER = f"kernels/{KERNEL.key}"


def first(bundle: Bundle, role: FileRole) -> str:
    return next(file.path for file in bundle.files if file.role is role)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def spoil(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 255]))


def leave_something(store: Path) -> None:
    folder = store / "kernels/debian/x86_64/6.1.0-1-amd64/6.1.1-1/root"
    folder.mkdir(parents=True)
    (folder / ".vmlinux.part").write_bytes(bytes(1000))
    for path in (folder, folder.parent):
        os.utime(path, (1000, 1000))


@pytest.fixture
def filled(kernsym: Kernsym) -> Kernsym:
    kernsym("fetch", "--sources", "--all-modules", VMCORE)
    return kernsym


def damage_all_but_the_kernel(store: Path) -> None:
    held = read_world(store).bundle
    modules = [file.path for file in held.files if file.role is FileRole.MODULE]
    spoil(store / FOLDER / modules[0])
    (store / FOLDER / modules[1]).unlink()
    cut(next((store / FOLDER / first(held, FileRole.SOURCE_TREE)).rglob("*.c")))
    spoil(next((store / FOLDER / "packages").glob("*.deb")))
    (store / FOLDER / "root/.x.part").write_text("x")
    build_id = held.verification.build_id or ""
    (store / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug").unlink()
    leave_something(store)
    for path in (store / "index").glob("files-*"):
        path.unlink()


def test_every_damage_is_found_and_mended(filled: Kernsym) -> None:
    assert "0 faults" in filled("verify").stderr
    filled("pin", KERNEL.uname, "--reason", "it stays pinned")
    before = {file.path for file in read_world(filled.store).bundle.files}
    damage_all_but_the_kernel(filled.store)
    found = json.loads(filled("verify", "--json", status=6).stdout)
    faults = Counter(finding["fault"] for finding in found["findings"])
    assert faults == {
        "file-damaged": 3,
        "package-damaged": 1,
        "link-wrong": 1,
        "left-over": 2,
        "index-wrong": 1,
    }, found
    assert found["stays"] == found["findings"]
    mended = filled("verify", "--repair")
    # All but the index, which was made right with what was withdrawn.
    assert len(re.findall(r"(?m)^mended ", mended.stdout)) == 7, mended.stdout
    cut(filled.store / FOLDER / first(read_world(filled.store).bundle, FileRole.VMLINUX))
    assert "mended  file-damaged" in filled("verify", "--repair", KERNEL.uname).stdout
    assert "0 faults" in filled("verify").stderr
    assert {file.path for file in read_world(filled.store).bundle.files} == before
    assert "pinned it stays pinned" in filled("du").stdout


def test_what_cannot_come_again_stays_damaged(filled: Kernsym) -> None:
    held = read_world(filled.store).bundle
    cut(filled.store / FOLDER / first(held, FileRole.VMLINUX))
    config = filled.home / "kernsym.toml"
    config.write_text("[builtin]\nsources = false\n")
    package = next((filled.store / FOLDER / "packages").glob("*.deb"))
    package.unlink()
    done = filled("verify", "--repair", KERNEL.uname, status=6)
    assert "stays   file-damaged" in done.stdout and "error[store-damaged]" in done.stderr
