"""A file that is read while it is written: who waits, who wakes, and with what."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut, Refused
from kernsym.server.mirrors.growing import GrowingFile

ERROR = Refused("digest-mismatch", "the package is wrong")


def test_readers_wait_for_their_bytes(tmp_path: Path) -> None:
    file = tmp_path / "package"
    content = bytes(range(250)) * 40
    growing = GrowingFile()
    offsets = range(0, len(content) + 100, 333)
    with ThreadPoolExecutor(len(offsets)) as readers:
        pieces = readers.map(lambda offset: growing.read_at(offset, 333), offsets)
        with file.open("wb", buffering=0) as writer:
            for come in range(100, len(content) + 1, 100):
                writer.write(content[come - 100 : come])
                growing.begin(file)
                growing.grown(come)
        growing.finish()
        assert b"".join(pieces) == content
    growing.close()


def test_a_rename_does_not_disturb_readers(tmp_path: Path) -> None:
    file = tmp_path / "package.part"
    file.write_bytes(b"content")
    growing = GrowingFile()
    growing.begin(file)
    growing.grown(7)
    file.rename(tmp_path / "package")
    assert growing.whole() is None
    growing.finish()
    assert growing.read_at(0, 100) == b"content"
    assert growing.whole() == 7
    growing.close()


@pytest.mark.parametrize("end", ["fail", "close"])
def test_the_end_wakes_who_waits(tmp_path: Path, end: str) -> None:
    (tmp_path / "package").write_bytes(b"content")
    growing = GrowingFile()
    growing.begin(tmp_path / "package")
    growing.grown(7)
    timer = threading.Timer(0.05, growing.close if end == "close" else lambda: growing.fail(ERROR))
    timer.start()
    with pytest.raises((Refused, CouldNotFindOut)) as raised:
        growing.read_at(0, 8)
    assert (raised.value is ERROR) == (end == "fail")
    timer.join()
    growing.close()


def test_a_closed_file_does_not_look_as_if_it_ended(tmp_path: Path) -> None:
    (tmp_path / "package").write_bytes(b"content")
    growing = GrowingFile()
    growing.begin(tmp_path / "package")
    growing.grown(7)
    growing.finish()
    growing.fail(ERROR)
    assert growing.read_at(3, 100) == b"tent"
    growing.close()
    with pytest.raises(CouldNotFindOut):
        growing.read_at(3, 100)


def test_a_file_that_was_cut_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "package").write_bytes(b"content")
    growing = GrowingFile()
    growing.begin(tmp_path / "package")
    growing.grown(8)
    with pytest.raises(CouldNotFindOut) as raised:
        growing.read_at(0, 8)
    assert raised.value.code == "package-cut"
    growing.close()
