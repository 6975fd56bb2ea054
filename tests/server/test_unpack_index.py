"""What a pass over a package leaves, and what the next makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kernsym.server.unpack import ExtractedFile, Pass, extract, list_modules
from kernsym.server.unpack.entering.index_file import open_index
from tests.rpm_writer import rpm
from tests.server.indexing import (
    COUNT,
    FILES,
    MEMBERS,
    MODULE_NAMES,
    PACKAGES,
    build,
    build_id,
    indexed,
    take,
    zstd,
)
from tests.server.unpacking import LAYOUT, Bytes, written

pytestmark = pytest.mark.usefixtures("small_indexes")


@pytest.fixture(scope="module", params=PACKAGES)
def package(request: pytest.FixtureRequest) -> bytes:
    return build(request.param)


@pytest.fixture(scope="module")
def rpm_zstd() -> bytes:
    return build("rpm zstd")


@pytest.fixture(scope="module")
def rpm_xz() -> bytes:
    return build("rpm xz")


class Watched(Bytes):
    """Counts the bytes that are asked for."""

    asked = 0

    def read_at(self, offset: int, size: int) -> bytes:
        data = super().read_at(offset, size)
        self.asked += len(data)
        return data


def test_the_second_pass_reads_little(tmp_path: Path, package: bytes) -> None:
    index = indexed(package, tmp_path)
    for number in (0, 17, 41, 59):
        source = Watched(package)
        went, _ = take(source, tmp_path / "second", index, f"m{number}")
        assert went == Pass(complete=True, modules=frozenset(MODULE_NAMES))
        assert source.asked < len(package) / 2
    take(package, tmp_path / "third", index, "vmlinux", *MODULE_NAMES)
    assert written(tmp_path / "third") == set(FILES)
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"package.index"}


def test_the_index_knows_the_build_ids(tmp_path: Path, package: bytes) -> None:
    index = indexed(package, tmp_path)
    source = Watched(package)
    known = list_modules(source, LAYOUT, index=index)
    assert known == {build_id(number): f"m{number}" for number in range(COUNT)}
    assert source.asked < len(package) / 10


def test_a_look_through_in_the_background_leaves_one_too(tmp_path: Path, package: bytes) -> None:
    index = tmp_path / "package.index"
    assert list_modules(Bytes(package), LAYOUT, index=index)
    source = Watched(package)
    take(source, tmp_path / "into", index, "m20")
    assert source.asked < len(package) / 2


def test_a_repack_is_an_archive_for_everybody(tmp_path: Path, rpm_xz: bytes) -> None:
    index = indexed(rpm_xz, tmp_path)
    (tmp_path / "into").mkdir()
    unpacked = subprocess.run(["zstd", "-dc"], input=index.read_bytes(), capture_output=True)
    command = ["cpio", "-idm", "--quiet", "-D", str(tmp_path / "into")]
    subprocess.run(command, input=unpacked.stdout, check=True)
    assert written(tmp_path / "into") == set(FILES)


def test_a_window_larger_than_is_worth_its_room_means_a_repack(
    tmp_path: Path, rpm_zstd: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.server.unpack.entering.points._LARGEST_WINDOW", 1 << 16)
    index = indexed(rpm_zstd, tmp_path)
    with open_index(index, Bytes(rpm_zstd)) as left:
        assert left is not None and left.index.frames and not left.index.points
    take(rpm_zstd, tmp_path / "second", index, "m20")


def test_frames_that_follow_each_other_are_one_payload(tmp_path: Path) -> None:
    def pack(data: bytes) -> bytes:
        third = len(data) // 3
        skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
        parts = (data[:third], data[third : 2 * third], data[2 * third :])
        return skippable.join(map(zstd, parts))

    package = rpm(MEMBERS, "zstd", pack=pack)
    index = indexed(package, tmp_path)
    take(package, tmp_path / "second", index, "vmlinux", *MODULE_NAMES)


def test_a_pass_that_ends_early_leaves_nothing(tmp_path: Path, rpm_zstd: bytes) -> None:
    index = tmp_path / "package.index"
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(rpm_zstd),
        LAYOUT,
        lambda kind, name, path: True,
        tmp_path / "into",
        files.append,
        stop=lambda: len(files) == 5,
        index=index,
    )
    assert not went.complete and not went.indexed
    assert {path.name for path in tmp_path.iterdir()} == {"into"}


def test_little_that_is_left_is_read_for_the_index(tmp_path: Path, rpm_zstd: bytes) -> None:
    index = tmp_path / "package.index"
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(rpm_zstd),
        LAYOUT,
        lambda kind, name, path: True,
        tmp_path / "into",
        files.append,
        stop=lambda: len(files) >= COUNT - 1,
        index=index,
    )
    assert went.indexed and len(files) == COUNT + 1
