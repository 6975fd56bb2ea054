"""Packages that unpack to more than there is reason or room for: refused before it is written."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from kernsym.distros import Refused, Unusable
from kernsym.server.unpack import extract_sources
from tests.deb_writer import COMPRESSIONS, Member, deb, tar
from tests.elf_writer import module, vmlinux
from tests.server.unpacking import LAYOUT, MODULES, VMLINUX, Bytes, unpack, written
from tests.xz_writer import xz

BOMB = vmlinux() + bytes(8_000_000)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    **COMPRESSIONS,
    ".xz in blocks": lambda data: xz(data, block_size=1 << 18),
    ".xz by its index": lambda data: xz(data, block_size=1 << 18, tell_sizes=False),
}
del PACKERS[""]


def packed(members: list[Member], packer: str, listed: tuple[str, ...] = ()) -> bytes:
    return deb(members, packer.split()[0], pack=PACKERS[packer], listed=listed)


@pytest.fixture
def small_growth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernsym.server.unpack.allowance.MOST_BYTES_OF_ANY_PACKAGE", 1_000_000)


@pytest.mark.usefixtures("small_growth")
@pytest.mark.parametrize("listed", [(), (VMLINUX,)])
@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_is_refused(tmp_path: Path, packer: str, listed: tuple[str, ...]) -> None:
    with pytest.raises(Refused, match="bytes of it unpack to") as refused:
        unpack(packed([(f"./{VMLINUX}", BOMB)], packer, listed), tmp_path)
    assert refused.value.code == "package-unsafe"
    assert written(tmp_path) == set()


@pytest.mark.usefixtures("small_growth")
@pytest.mark.parametrize("packer", PACKERS)
def test_a_bomb_that_nobody_wants_is_refused_as_well(tmp_path: Path, packer: str) -> None:
    members: list[Member] = [("./usr/share/doc/bomb", BOMB), (f"./{VMLINUX}", vmlinux())]
    with pytest.raises(Refused) as refused:
        unpack(packed(members, packer), tmp_path)
    assert refused.value.code == "package-unsafe"


@pytest.mark.usefixtures("small_growth")
def test_a_bomb_inside_a_module_is_refused(tmp_path: Path) -> None:
    inner = COMPRESSIONS[".xz"](module("ab" * 20, bytes(8_000_000)))
    with pytest.raises(Refused) as refused:
        unpack(deb([(f"./{MODULES}/fs/ext4.ko.xz", inner)]), tmp_path, "ext4")
    assert refused.value.code == "package-unsafe"
    assert written(tmp_path) == set()


@pytest.mark.usefixtures("small_growth")
def test_what_kernels_grow_by_is_allowed(tmp_path: Path) -> None:
    content = b"".join(os.urandom(64) * 10 for _ in range(5000))
    _, files = unpack(deb([(f"./{VMLINUX}", content)]), tmp_path)
    assert files[VMLINUX].size == len(content) > 3_000_000


def test_a_member_larger_than_the_free_space_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage(NamedTuple):
        free: int

    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(5_000_000))
    members: list[Member] = [(f"./{MODULES}/fs/ext4.ko", module("aa" * 20)), (f"./{VMLINUX}", BOMB)]
    with pytest.raises(Unusable, match="8 MB are needed, 5 MB are free") as unusable:
        unpack(deb(members), tmp_path, "ext4")
    assert unusable.value.code == "disk-full"
    assert written(tmp_path) == {f"{MODULES}/fs/ext4.ko"}


@pytest.mark.parametrize("packer", PACKERS)
def test_a_file_that_comes_twice_is_refused(tmp_path: Path, packer: str) -> None:
    twice: list[Member] = [(f"./{VMLINUX}", vmlinux()), (f"{VMLINUX}", vmlinux("another"))]
    with pytest.raises(Refused, match="twice") as refused:
        unpack(packed(twice, packer), tmp_path)
    assert refused.value.code == "package-unsafe"


def test_a_source_file_that_comes_twice_is_refused(tmp_path: Path) -> None:
    sources = COMPRESSIONS[".xz"](tar([("linux-6.1/a.c", b"1"), ("linux-6.1/a.c", b"2")]))
    layout = dataclasses.replace(
        LAYOUT, source_archive=re.compile(r"usr/src/linux\.tar\.xz"), source_root="usr/src/linux"
    )
    with pytest.raises(Refused, match="twice"):
        extract_sources(Bytes(deb([("./usr/src/linux.tar.xz", sources)])), layout, tmp_path)
    assert written(tmp_path) == set()
