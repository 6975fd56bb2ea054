"""RPMs in several xz blocks: members are found by what the header tells, if that is true."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from kernsym.server.unpack.entering.rpm_places import file_digests, member_places
from tests.elf_writer import module
from tests.rpm_writer import (
    BASENAMES,
    FILE_FLAGS,
    FILE_INODES,
    FILE_SIZES,
    FOLDER_OF,
    CpioFile,
    Value,
    cpio,
    file_tags,
    rpm,
)
from tests.server.indexing import FILES, MEMBERS, take
from tests.server.unpacking import MODULES, Bytes
from tests.xz_writer import xz

Tags = dict[int, Value]
FOLDER = CpioFile(path="./usr/lib/debug", mode=stat.S_IFDIR | 0o755)
LINK = CpioFile(path="./usr/lib/debug/vmlinux", content=b"lib/vmlinux", mode=stat.S_IFLNK | 0o777)
TWINS = [
    CpioFile(path=f"./{MODULES}/a/twin-{name}.ko", content=content, inode=9999, links=2)
    for name, content in (("one", b""), ("two", module("ee" * 20)))
]
SOME = [*MEMBERS[:14], MEMBERS[-1]]
ALL = [FOLDER, LINK, *(CpioFile(path=path, content=data) for path, data in SOME), *TWINS]
ONE, OTHER = (path.rpartition("/")[2].removesuffix(".ko") for path, _ in SOME[5:7])


def package(tags: Tags) -> bytes:
    return rpm(ALL, "xz", tags=tags, pack=lambda data: xz(data, block_size=1 << 17))


class Watched(Bytes):
    """Counts the bytes that are asked for."""

    asked = 0

    def read_at(self, offset: int, size: int) -> bytes:
        data = super().read_at(offset, size)
        self.asked += len(data)
        return data


def test_places_are_those_in_the_archive() -> None:
    archive = cpio(ALL)
    places = member_places(Bytes(package(file_tags(ALL))))
    assert places is not None
    assert set(places) == {*(path[2:] for path, _ in SOME), f"{MODULES}/a/twin-two.ko"}
    for path, position in places.items():
        name = archive[position + 110 :].partition(b"\0")[0]
        assert name == f"./{path}".encode()


def test_what_is_not_packed_has_no_place() -> None:
    ghost = CpioFile(path="./usr/lib/debug/a-ghost", content=b"it is not packed")
    flags = (1 << 6, *(0 for _ in ALL))
    tags = file_tags([ghost, *ALL]) | {FILE_FLAGS: flags}
    expected = member_places(Bytes(package(file_tags(ALL))))
    assert member_places(Bytes(package(tags))) == expected


def test_little_is_read_for_one_module(tmp_path: Path) -> None:
    source = Watched(package(file_tags(ALL)))
    take(source, tmp_path / "one", None, ONE)
    assert source.asked < len(source.content) / 2
    take(source, tmp_path / "two", None, "vmlinux", OTHER)


def test_the_content_of_hard_links_is_found(tmp_path: Path) -> None:
    built = package(file_tags(ALL))
    assert file_digests(Bytes(built))[f"{MODULES}/a/twin-two.ko"][0] == "sha256"
    FILES[f"{MODULES}/a/twin-two.ko"] = TWINS[1].content
    try:
        take(built, tmp_path / "into", None, "twin_two")
    finally:
        del FILES[f"{MODULES}/a/twin-two.ko"]


def sizes(change: Callable[[int], int]) -> Callable[[Tags], Tags]:
    def lie(tags: Tags) -> Tags:
        told = tags[FILE_SIZES]
        assert isinstance(told, tuple)
        return {FILE_SIZES: tuple(change(size) for size in told)}

    return lie


def turned(tag: int) -> Callable[[Tags], Tags]:
    def lie(tags: Tags) -> Tags:
        told = tags[tag]
        assert isinstance(told, tuple | list)
        return {tag: told[::-1]}

    return lie


@pytest.mark.parametrize(
    "lie",
    [
        sizes(lambda size: size + 4),
        sizes(lambda size: 0xFFFFFFFF),
        sizes(lambda size: 0),
        sizes(lambda size: size // 2),
        turned(BASENAMES),
        turned(FILE_SIZES),
        turned(FILE_INODES),
        lambda tags: {FOLDER_OF: (1 << 31,) * len(ALL)},
        lambda tags: {FOLDER_OF: (0,) * len(ALL)},
        lambda tags: {FOLDER_OF: (0,)},
        lambda tags: {BASENAMES: ["../../etc/passwd"] * len(ALL)},
        lambda tags: {FILE_SIZES: "text"},
    ],
)
def test_a_header_that_lies_never_gives_wrong_bytes(
    tmp_path: Path, lie: Callable[[Tags], Tags]
) -> None:
    tags = file_tags(ALL)
    take(package(tags | lie(tags)), tmp_path / "into", None, ONE, OTHER, "vmlinux")
