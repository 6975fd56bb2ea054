"""What a pass over a package leaves, and what the next makes of it."""

from __future__ import annotations

import lzma
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from kernsym.server.unpack import ExtractedFile, Pass, extract, keep_index, list_modules
from kernsym.server.unpack.index_file import open_index
from tests.deb_writer import deb
from tests.elf_writer import module, vmlinux
from tests.rpm_writer import rpm
from tests.server.unpacking import LAYOUT, MODULES, Bytes, written

VMLINUX = "usr/lib/debug/lib/modules/K/vmlinux"
COUNT = 60
_RANDOM = random.Random(5)
_WORDS = [_RANDOM.randbytes(_RANDOM.randint(3, 14)) for _ in range(3000)]


def content(size: int) -> bytes:
    """Bytes that shrink to a third, as real ones do."""
    return b" ".join(_RANDOM.choices(_WORDS, k=size // 9))


def build_id(number: int) -> str:
    return f"{number:040x}"


FILES = {
    f"{MODULES}/fs/m{number}.ko": module(build_id(number)) + content(80_000 + 4_000 * (number % 50))
    for number in _RANDOM.sample(range(COUNT), COUNT)  # in no order
}
FILES[VMLINUX] = vmlinux() + content(400_000)


def zstd(data: bytes) -> bytes:
    """As rpm packs: a stream whose size nobody knew, with a window that is smaller than that."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=17, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(data) + packer.flush()


def xz(data: bytes, container: int = lzma.FORMAT_XZ) -> bytes:
    """In one block."""
    return lzma.compress(data, container, preset=0)


MEMBERS = [(f"./{path}", data) for path, data in FILES.items()]
PACKAGES: dict[str, Callable[[], bytes]] = {
    "rpm zstd": lambda: rpm(MEMBERS, "zstd", pack=zstd),
    "rpm gzip": lambda: rpm(MEMBERS, "gzip"),
    "rpm xz": lambda: rpm(MEMBERS, "xz", pack=xz),
    "rpm lzma": lambda: rpm(MEMBERS, "lzma", pack=lambda data: xz(data, lzma.FORMAT_ALONE)),
    "rpm plain": lambda: rpm(MEMBERS, ""),
    "deb zstd": lambda: deb(MEMBERS, ".zst", pack=zstd),
    "deb gzip": lambda: deb(MEMBERS, ".gz"),
    "deb xz": lambda: deb(MEMBERS, ".xz", pack=xz),
}


@pytest.fixture(scope="module", params=PACKAGES)
def package(request: pytest.FixtureRequest) -> bytes:
    return PACKAGES[request.param]()


@pytest.fixture(scope="module")
def rpm_zstd() -> bytes:
    return PACKAGES["rpm zstd"]()


@pytest.fixture(scope="module")
def rpm_xz() -> bytes:
    return PACKAGES["rpm xz"]()


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is far apart in a package of a GB is near in these."""
    monkeypatch.setattr("kernsym.server.unpack.points._APART", 400_000)
    monkeypatch.setattr("kernsym.server.unpack.points._WINDOWS_APART", 1)
    monkeypatch.setattr("kernsym.server.unpack.points._LESSONS", 2)
    monkeypatch.setattr("kernsym.server.unpack.repack._FRAME", 300_000)
    monkeypatch.setattr("kernsym.server.unpack.ahead._MEMORY_OF_PIECES", 300_000)
    monkeypatch.setattr("kernsym.server.unpack.index_file._BEGINNING", 4096)
    monkeypatch.setattr("kernsym.server.unpack.index_file._LEAST_ROOM", 0)


class Watched(Bytes):
    """Counts the bytes that are asked for."""

    asked = 0

    def read_at(self, offset: int, size: int) -> bytes:
        data = super().read_at(offset, size)
        self.asked += len(data)
        return data


def take(
    package: bytes | Bytes, into: Path, index: Path | None, *names: str
) -> tuple[Pass, dict[str, ExtractedFile]]:
    """The modules of these names and vmlinux if it is among them, written and compared."""
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(package) if isinstance(package, bytes) else package,
        LAYOUT,
        lambda kind, name, path: (name or kind.value) in names,
        into,
        files.append,
        index=index,
    )
    if went.indexed and index is not None:
        keep_index(index)
    for file in files:
        assert (into / file.path).read_bytes() == FILES[file.path]
    assert {file.name or file.kind.value for file in files} == set(names)
    return went, {file.path: file for file in files}


def indexed(package: bytes, folder: Path) -> Path:
    index = folder / "package.index"
    went, _ = take(package, folder / "first", index, "vmlinux", "m3")
    assert went == Pass(complete=True, modules=frozenset(MODULE_NAMES), indexed=True)
    return index


MODULE_NAMES = {f"m{number}" for number in range(COUNT)}


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
    monkeypatch.setattr("kernsym.server.unpack.points._LARGEST_WINDOW", 1 << 16)
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
