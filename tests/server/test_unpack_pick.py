"""Members that are picked out of a package that lies there whole, without unpacking all of it."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import MemberKind, Refused
from kernsym.server.unpack import ExtractedFile, Pass, extract
from kernsym.server.unpack.entering.sorted_tar import open_sorted_tar
from tests.deb_writer import Member, deb, link
from tests.elf_writer import module, vmlinux
from tests.server.unpacking import LAYOUT, MODULES, VMLINUX, Bytes, unpack, written
from tests.xz_writer import xz

BLOCK = 1 << 14
LONG = "a-folder-with-a-name-that-goes-on-and-on-and-does-not-fit-into-a-header/" * 2
LARGE = vmlinux() + bytes(30 * BLOCK)  # fills whole blocks


def content(number: int) -> bytes:
    return module(f"{number:040x}", os.urandom(3000 + 500 * (number % 7)))


NAMES = [
    f"{'fs' if number % 3 else 'net/core'}/{LONG * (number % 2)}m{number}" for number in range(120)
]
FILES = {f"{MODULES}/{name}.ko": content(number) for number, name in enumerate(NAMES)}
FILES[VMLINUX] = LARGE


def by_folder(path: str) -> list[str]:
    return path.split("/")


def members(paths: list[str]) -> list[Member]:
    """The files in that order, folders before them and links behind, as dpkg-deb does."""
    folder = tarfile.TarInfo("./usr/")
    folder.type = tarfile.DIRTYPE
    files: list[Member] = [(f"./{path}", FILES[path]) for path in paths]
    return [folder, *files, link("./usr/lib/debug/vmlinux-K", "boot/vmlinux-K")]


def package(paths: list[str], listed: list[str] | None = None) -> bytes:
    return deb(
        members(paths),
        pack=lambda data: xz(data, block_size=BLOCK),
        listed=FILES if listed is None else listed,
    )


SORTED = package(sorted(FILES, key=by_folder))


class Counted(Bytes):
    """Counts the bytes that are asked for."""

    asked = 0

    def read_at(self, offset: int, size: int) -> bytes:
        self.asked += size
        return super().read_at(offset, size)


def modules(*numbers: int) -> list[str]:
    return [f"m{number}" for number in numbers]


def of(number: int) -> str:
    return f"{MODULES}/{NAMES[number]}.ko"


@settings(max_examples=40, deadline=None)
@given(numbers=st.sets(st.integers(0, len(NAMES) - 1), max_size=12))
def test_picks_what_is_wanted(tmp_path_factory: pytest.TempPathFactory, numbers: set[int]) -> None:
    into = tmp_path_factory.mktemp("into")
    went, files = unpack(SORTED, into, *modules(*numbers))
    assert went == Pass(complete=True, modules=frozenset(modules(*range(len(NAMES)))))
    assert set(files) == {VMLINUX, *map(of, numbers)} == written(into)
    for path, file in files.items():
        assert (into / path).read_bytes() == FILES[path]
        assert file.build_id is not None


class Late(Bytes):
    """Knows that it is whole only when somebody has waited for its first bytes, as a package does
    that lies there but is only being opened."""

    begun = False

    def read_at(self, offset: int, size: int) -> bytes:
        self.begun = True
        return super().read_at(offset, size)

    def whole(self) -> int | None:
        return super().whole() if self.begun else None


def test_a_package_that_is_only_being_opened_is_waited_for() -> None:
    assert open_sorted_tar(Late(SORTED)) is not None


@pytest.mark.parametrize("number", [0, 57, 119])
def test_little_is_read_for_one_module(tmp_path: Path, number: int) -> None:
    source = Counted(SORTED)
    wanted = f"m{number}"
    extract(source, LAYOUT, lambda kind, name, path: name == wanted, tmp_path, lambda file: None)
    assert written(tmp_path) == {of(number)}
    assert (tmp_path / of(number)).read_bytes() == FILES[of(number)]
    assert source.asked < len(SORTED) / 3


def test_vmlinux_comes_before_the_modules_wherever_it_lies(tmp_path: Path) -> None:
    last = "usr/lib/debug/lib/modules/K/vmlinux"
    paths = sorted({*FILES, last} - {VMLINUX}, key=by_folder)
    built = deb(
        [(f"./{path}", FILES.get(path, LARGE)) for path in paths],
        pack=lambda data: xz(data, block_size=BLOCK),
        listed=paths,
    )
    assert paths[-1] == last
    files: list[ExtractedFile] = []
    extract(Bytes(built), LAYOUT, lambda *asked: True, tmp_path, files.append)
    assert files[0].kind is MemberKind.VMLINUX
    assert {file.path for file in files} == set(paths) == written(tmp_path)


def test_an_archive_that_is_not_sorted_is_read_through(tmp_path: Path) -> None:
    shuffled = sorted(FILES, key=lambda path: path[::-1])
    _, files = unpack(package(shuffled), tmp_path, *modules(3, 50, 51, 100))
    assert set(files) == {VMLINUX, *map(of, (3, 50, 51, 100))} == written(tmp_path)
    for path in files:
        assert (tmp_path / path).read_bytes() == FILES[path]


def test_a_list_that_names_more_than_there_is_does_no_harm(tmp_path: Path) -> None:
    paths = sorted(FILES, key=by_folder)
    built = package(paths, listed=[*paths, f"{MODULES}/fs/not-there.ko"])
    went, files = unpack(built, tmp_path, "not_there", "m7")
    assert set(files) == {VMLINUX, of(7)} == written(tmp_path)
    assert "not_there" not in went.modules


@pytest.mark.parametrize("listed", [[], ["usr/share/doc/copyright"]])
def test_a_package_without_a_useful_list_is_read_through(tmp_path: Path, listed: list[str]) -> None:
    built = package(sorted(FILES, key=by_folder), listed=listed)
    went, files = unpack(built, tmp_path, "m7")
    assert set(files) == {VMLINUX, of(7)}
    assert went.modules == set(modules(*range(len(NAMES))))


def test_what_stops_it_leaves_whole_files_only(tmp_path: Path) -> None:
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(SORTED),
        LAYOUT,
        lambda *asked: True,
        tmp_path,
        files.append,
        stop=lambda: len(files) == 5,
    )
    assert not went.complete
    assert files[0].kind is MemberKind.VMLINUX
    assert {file.path for file in files} == written(tmp_path)


def test_damage_in_a_block_that_is_needed_is_found(tmp_path: Path) -> None:
    damaged = bytearray(SORTED)
    for at in range(len(SORTED) // 3, len(SORTED) - 5000, BLOCK // 4):
        damaged[at] ^= 1
    with pytest.raises(Refused) as refused:
        unpack(bytes(damaged), tmp_path, *modules(*range(len(NAMES))))
    assert refused.value.code == "package-corrupt"
    assert not any(Path(path).name.startswith(".") for path in written(tmp_path))


def test_unsafe_members_are_refused_here_too(tmp_path: Path) -> None:
    paths = sorted(FILES, key=by_folder)
    evil: list[Member] = [("./../../etc/passwd", b""), *members(paths)]
    built = deb(evil, pack=lambda data: xz(data, block_size=BLOCK), listed=FILES)
    with pytest.raises(Refused) as refused:
        unpack(built, tmp_path)
    assert refused.value.code == "package-unsafe"


def test_what_another_thread_finds_first_is_no_dead_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who searches goes on where the other has been, and does not read all that lies before."""
    tar = open_sorted_tar(Bytes(SORTED))
    assert tar is not None
    narrow = tar._narrow

    def found_by_another(*arguments: Any) -> Any:
        found = narrow(*arguments)
        tar._landmarks = tuple(sorted({*tar._landmarks, *found}))
        return found

    monkeypatch.setattr(tar, "_narrow", found_by_another)
    wanted = tar.paths[-3]
    with tar.open_before(wanted, lambda: False, together=False) as archive:
        read = [entry.path.removeprefix("./") for entry in archive.entries()]
    assert read.index(wanted) <= 4
