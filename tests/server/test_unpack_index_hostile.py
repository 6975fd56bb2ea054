"""Indexes that are damaged, foreign or lie, and headers that do: no wrong bytes come of them."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import Refused, Unusable
from kernsym.server.unpack import Pass, drop_index
from kernsym.server.unpack.entering.gzip_points import GzipPoint
from kernsym.server.unpack.entering.index_file import Index, IndexFile, beside, open_index
from kernsym.server.unpack.entering.points import Point
from kernsym.server.unpack.entering.repack import PackedFrame
from tests.rpm_writer import rpm
from tests.server.indexing import FILES, MEMBERS, MODULE_NAMES, build, indexed, take
from tests.server.unpacking import MODULES, Bytes

pytestmark = pytest.mark.usefixtures("small_indexes")

WHOLE = Pass(complete=True, modules=frozenset(MODULE_NAMES))
REMADE = Pass(complete=True, modules=frozenset(MODULE_NAMES), indexed=True)


@pytest.fixture(scope="module")
def rpm_zstd() -> bytes:
    return build("rpm zstd")


@pytest.fixture(scope="module")
def rpm_xz() -> bytes:
    return build("rpm xz")


@pytest.fixture(scope="module")
def rpm_gzip() -> bytes:
    return build("rpm gzip")


@pytest.fixture(params=["rpm_zstd", "rpm_gzip", "rpm_xz"])
def package(request: pytest.FixtureRequest) -> bytes:
    built: bytes = request.getfixturevalue(request.param)
    return built


def test_a_flipped_bit_never_gives_wrong_bytes(tmp_path: Path, package: bytes) -> None:
    index = indexed(package, tmp_path)
    right = index.read_bytes()

    @settings(max_examples=15, deadline=None, database=None)
    @given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip(where: float, bit: int) -> None:
        damaged = bytearray(right)
        damaged[int(where * len(damaged))] ^= 1 << bit
        index.write_bytes(damaged)
        shutil.rmtree(tmp_path / "second", ignore_errors=True)
        went, _ = take(package, tmp_path / "second", index, "m1", "m30", "m58")
        assert went in (WHOLE, REMADE)

    flip()


@pytest.mark.parametrize("left", [0, 1, 50, 10_000, -1, -60])
def test_a_cut_index_is_made_anew(tmp_path: Path, package: bytes, left: int) -> None:
    index = indexed(package, tmp_path)
    index.write_bytes(index.read_bytes()[:left])
    assert take(package, tmp_path / "second", index, "m7")[0] == REMADE
    assert take(package, tmp_path / "third", index, "m8")[0] == WHOLE


def test_the_index_of_another_package_is_not_used(tmp_path: Path, package: bytes) -> None:
    turned = [(path, data) for path, data in reversed(MEMBERS)]
    index = indexed(rpm(turned, "zstd"), tmp_path)
    assert take(package, tmp_path / "second", index, "m7")[0] == REMADE


def rewritten(path: Path, package: bytes, lie: Callable[[Index], Index]) -> None:
    """The index with other contents, and all its sums right."""
    with open_index(path, Bytes(package)) as left:
        assert left is not None
        index = lie(left.index)
    kept = path.read_bytes()
    file = IndexFile(path)
    file.keep(kept)
    file.finish(index)
    file.close()
    beside(path).replace(path)


def swapped(index: Index) -> Index:
    first, second, *rest = index.members
    names = [
        type(first)(second.path, first.position, ""),
        type(first)(first.path, second.position, ""),
    ]
    return msgspec.structs.replace(index, members=(*names, *rest))


def moved(by: int) -> Callable[[Index], Index]:
    def lie(index: Index) -> Index:
        members = [type(each)(each.path, each.position + by) for each in index.members]
        return msgspec.structs.replace(index, members=(*members,))

    return lie


def other_places(change: Callable[[list[int]], list[int]]) -> Callable[[Index], Index]:
    """Of points and frames."""

    def lie(index: Index) -> Index:
        return msgspec.structs.replace(
            index,
            points=tuple(Point(*change(list(each))) for each in index.points),
            gzip_points=tuple(GzipPoint(*change(list(each))) for each in index.gzip_points),
            frames=tuple(PackedFrame(*change(list(each))) for each in index.frames),
        )

    return lie


@pytest.mark.parametrize(
    "lie",
    [
        swapped,
        moved(1),
        moved(-1),
        moved(1 << 40),
        moved(1 << 62),
        other_places(lambda each: [each[0], each[1], each[2], each[3] + 7, *each[4:]]),
        other_places(lambda each: [each[0], each[1] + 7, *each[2:]]),
        other_places(lambda each: [each[0], each[1], each[2] + 7, *each[3:]]),
        other_places(lambda each: [each[0] + 500, *each[1:]]),
        other_places(lambda each: [0, *each[1:]]),
        other_places(lambda each: [*each[:-1], 1 << 45]),
        other_places(lambda each: [*each[:-1], -1]),
        other_places(lambda each: [*each[:-2], 0, each[-1]]),
    ],
    ids=[
        "names swapped",
        "places one later",
        "places one earlier",
        "places far away",
        "places out of the world",
        "packed offset or size",
        "frame or size",
        "lesson or offset",
        "positions",
        "all at the beginning",
        "absurd sizes",
        "negative sizes",
        "all in the first place",
    ],
)
def test_an_index_that_lies_never_gives_wrong_bytes(
    tmp_path: Path, package: bytes, lie: Callable[[Index], Index]
) -> None:
    index = indexed(package, tmp_path)
    rewritten(index, package, lie)
    take(package, tmp_path / "second", index, *MODULE_NAMES)
    take(package, tmp_path / "third", index, "m3", "vmlinux")


def test_what_a_killed_pass_left_is_written_over(tmp_path: Path, package: bytes) -> None:
    index = tmp_path / "package.index"
    beside(index).write_bytes(bytes(10_000_000))
    indexed(package, tmp_path)
    assert index.stat().st_size < 10_000_000
    assert take(package, tmp_path / "second", index, "m7")[0] == WHOLE


def test_only_one_writes_at_a_time(tmp_path: Path, package: bytes) -> None:
    index = tmp_path / "package.index"
    with beside(index).open("wb") as somebody:
        fcntl.flock(somebody, fcntl.LOCK_EX)
        assert take(package, tmp_path / "into", index, "m7")[0] == WHOLE
    assert not index.exists()


def test_a_full_disk_costs_the_index_alone(
    tmp_path: Path, package: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.server.unpack.entering.index_file._LEAST_ROOM", 1 << 60)
    index = tmp_path / "package.index"
    assert take(package, tmp_path / "into", index, "m7", "vmlinux")[0] == WHOLE
    assert {path.name for path in tmp_path.iterdir()} == {"into"}


def test_a_folder_that_takes_no_writes_costs_the_index_alone(
    tmp_path: Path, package: bytes
) -> None:
    (tmp_path / "file").touch()
    index = tmp_path / "file" / "package.index"
    assert take(package, tmp_path / "into", index, "m7")[0] == WHOLE


def test_a_refused_package_leaves_none(tmp_path: Path) -> None:
    twice = rpm([*MEMBERS, (f"./{MODULES}/fs/m3.ko", b"again")], "gzip")
    index = tmp_path / "package.index"
    with pytest.raises(Refused, match="twice"):
        take(twice, tmp_path / "into", index, "m7")
    assert {path.name for path in tmp_path.iterdir()} == {"into"}


def test_what_was_left_of_a_discarded_package_is_gone(tmp_path: Path, package: bytes) -> None:
    index = indexed(package, tmp_path)
    beside(index).touch()
    drop_index(index)
    assert {path.name for path in tmp_path.iterdir()} == {"first"}


def test_the_room_is_asked_for_before_a_member_is_written(
    tmp_path: Path, package: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = indexed(package, tmp_path)
    smallest = min(len(data) for data in FILES.values())
    monkeypatch.setattr(
        "kernsym.server.disk.shutil.disk_usage", lambda folder: type("", (), {"free": smallest - 1})
    )
    with pytest.raises(Unusable, match="are free"):
        take(package, tmp_path / "second", index, "m7")
