"""Looking through all of memory: what is found, what is believed, when it stops."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.client.dumps import read_facts
from kernsym.client.dumps.reader import Chunks, Headers, Segment
from kernsym.client.dumps.scan import scan
from kernsym.client.dumps.search import find_all
from kernsym.distros import NotIdentified
from tests.client.dumps import writers
from tests.client.dumps.writers import BANNER, BANNER_AT, NOTE_AT, Memory

OTHER = BANNER.replace("6.1.0-18", "6.1.0-17")
FOREIGN_INFO = writers.vmcoreinfo(OSRELEASE="6.1.0-17-amd64", KERNELOFFSET="0")


def raw(folder: Path, contents: dict[int, bytes]) -> Path:
    return writers.write(folder, "dump", Memory(contents).image())


def whole(banner: str) -> bytes:
    return banner.encode() + b"\n\0"


def test_five_copies_one_of_them_the_kernels(tmp_path: Path) -> None:
    facts = read_facts(
        raw(
            tmp_path,
            {
                0x2000: b"Linux version %s (%s)\0",
                0x3000: BANNER.replace("#1", "#").encode() + b"\n\0",
                0x4000: BANNER.encode() + b" and residue\0",
                0x8000: BANNER.encode() + b"\n[    0.000000] Command line:",
                BANNER_AT: whole(BANNER),
            },
        )
    )
    assert (facts.fingerprint.banner, facts.banner_address) == (BANNER, BANNER_AT)
    assert facts.vmcoreinfo_from is None and facts.kaslr_offset is None
    assert sorted(reason for _, reason in facts.rejected) == [
        "a format string",
        "no build number (#…)",
        "not as the kernel holds it",
    ]


def test_a_guests_vmcoreinfo_is_not_believed(tmp_path: Path) -> None:
    """A host's memory holds its guests': only the one whose image lies where it says is its own."""
    contents = {
        0x2000: FOREIGN_INFO,
        0x3000: FOREIGN_INFO,
        0x8000: whole(OTHER),
        0xA000: whole(OTHER),
        BANNER_AT: whole(BANNER),
        0x1F0000: writers.vmcoreinfo(),
    }
    facts = read_facts(raw(tmp_path, contents))
    assert facts.fingerprint.banner == BANNER
    assert facts.fingerprint.build_id == writers.BUILD_ID
    assert facts.kaslr_offset == writers.KASLR
    assert OTHER in dict(facts.rejected)


def test_several_kernels_are_not_guessed(tmp_path: Path) -> None:
    with pytest.raises(NotIdentified) as caught:
        read_facts(raw(tmp_path, {0x8000: whole(OTHER), BANNER_AT: whole(BANNER)}))
    assert caught.value.code == "dump-several-kernels"
    assert set(caught.value.context) == {BANNER, OTHER}


def test_a_scan_ends_at_a_confirmed_kernel(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = tmp_path / "dump"
    with path.open("wb") as file:
        file.write(writers.memory(info=True).image())
        file.truncate(1 << 30)
        file.seek((1 << 30) - 4096)
        file.write(b"x" * 4096)
    read_facts(path, lambda done, total: steps.append((done, total)))
    assert not steps  # it is found in the first megabyte


def test_holes_are_skipped_and_progress_told(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    path = tmp_path / "dump"
    size = 64 << 30  # far more than could be read
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size - (8 << 20))
        file.write(bytes(4096) + whole(BANNER))
    if path.stat().st_blocks * 512 > 1 << 30:
        pytest.fail("the file system of the temporary folder has no sparse files")
    facts = read_facts(path, lambda done, total: steps.append((done, total)))
    assert facts.fingerprint.banner == BANNER
    assert facts.banner_address == size - (8 << 20) + 4096
    assert len(steps) < 10 and all(total == size for _, total in steps)
    assert steps == sorted(steps) and steps[-1][0] <= size
    os.truncate(path, 0)


class Pieces:
    """Memory that comes in pieces of a few bytes."""

    format = "raw"
    headers = Headers()
    path = Path("pieces")

    def __init__(self, data: bytes, size: int, *, concurrent: bool) -> None:
        self._data, self._size = data, size
        self.concurrent = concurrent

    def segments(self) -> tuple[Segment, ...]:
        return (Segment(address=0, size=len(self._data)),)

    def read(self, address: int, size: int) -> bytes:
        return self._data[address : address + size]

    def parts(self) -> Iterator[Chunks]:
        for at in range(0, len(self._data), self._size):
            yield iter([(at, memoryview(bytearray(self._data[at : at + self._size])))])

    def close(self) -> None:
        pass


@pytest.mark.parametrize("size", [1, 2, 7, 13, 14, 15, 100, 4095, 4097, 5000])
@pytest.mark.parametrize("inside", [0, 24])
@pytest.mark.parametrize("concurrent", [False, True])
def test_marks_across_the_borders_of_pieces(size: int, inside: int, concurrent: bool) -> None:
    """VMCOREINFO begins a page, or a note that does."""
    start = bytes(77) + whole(BANNER) + b"Linux version 9 "
    data = start.ljust(4096 + inside, b"\0") + writers.vmcoreinfo() + b"OSRELEASE=\0"
    findings = scan(Pieces(data, size, concurrent=concurrent), lambda info: None)
    assert [seen.address for seen in findings.sightings] == [77, 77 + len(BANNER) + 2]
    assert findings.sightings[0].whole
    assert [info.release for info in findings.infos] == [writers.RELEASE]


def test_vmcoreinfo_of_old_kernels_lies_anywhere_in_the_image(tmp_path: Path) -> None:
    contents = {BANNER_AT: whole(BANNER), BANNER_AT + 0x70123: writers.vmcoreinfo()}
    facts = read_facts(raw(tmp_path, contents))
    assert facts.fingerprint.banner == BANNER
    assert (facts.vmcoreinfo_from, facts.kaslr_offset) == ("memory", writers.KASLR)


def test_equal_vmcoreinfos_are_confirmed_once() -> None:
    tried: list[str] = []
    page = writers.vmcoreinfo().ljust(4096, b"\0")
    findings = scan(
        Pieces(page * 5, 4096, concurrent=False), lambda info: tried.append(info.release)
    )
    assert tried == [writers.RELEASE]
    assert len(findings.infos) == 5


@pytest.mark.parametrize("data", [b"", b"ab", b"abc", b"xxabcabcxabc", b"aabbcc" * 100 + b"abc"])
def test_find_all(data: bytes) -> None:
    expected = [at for at in range(len(data)) if data.startswith(b"abc", at)]
    assert list(find_all(memoryview(bytearray(data)), b"abc")) == expected


def test_a_file_full_of_marks_does_not_stall(tmp_path: Path) -> None:
    path = writers.write(tmp_path, "dump", b"\0\0Linux version OSRELEASE=" * 200_000)
    with pytest.raises(Exception, match="no Linux kernel"):
        read_facts(path)


def test_vmcoreinfo_is_unbelieved_where_no_banner_confirms_it(tmp_path: Path) -> None:
    """The page of the banner may be lost: VMCOREINFO still tells, and says where it was."""
    facts = read_facts(raw(tmp_path, {NOTE_AT: writers.vmcoreinfo()}))
    assert facts.fingerprint.banner is None
    assert (facts.fingerprint.release, facts.vmcoreinfo_from) == (writers.RELEASE, "memory")
