"""Files that go past the page cache are byte for byte those that go through it."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.server.unpack.file_writer import ALIGNED, FileWriter

SIZE = 3 << 20
CONTENT = random.Random(7).randbytes(SIZE + 2 * ALIGNED)
LENGTHS = {
    "whole pages": [1 << 20, 1 << 20, 1 << 20],
    "one block": [SIZE],
    "a tail": [1 << 20, 1 << 20, ALIGNED + 1],
    "a tail alone": [1 << 20, 17],
    "odd from the beginning": [1, 1 << 20, ALIGNED],
    "odd in the middle": [ALIGNED, ALIGNED + 512, ALIGNED, 1 << 20],
    "nothing": [],
}


def block(length: int, begin: int) -> memoryview:
    """Bytes of the content, where pages of memory begin."""
    memory = mmap.mmap(-1, max(length, 1))
    memory[:length] = CONTENT[begin : begin + length]
    return memoryview(memory)[:length]


@pytest.mark.parametrize("past_cache", [True, False])
@pytest.mark.parametrize("folder", ["disk", "memory"])
@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
def test_every_block_is_in_the_file(
    lengths: list[int], folder: str, past_cache: bool, tmp_path: Path, in_memory: Path
) -> None:
    path = (tmp_path if folder == "disk" else in_memory) / "module.ko.debug"
    writer = FileWriter(path, SIZE, past_cache=past_cache)
    begin = 0
    for length in lengths:
        writer.write(block(length, begin))
        begin += length
        assert path.read_bytes() == CONTENT[:begin]  # also while it is written
    writer.close()
    assert path.read_bytes() == CONTENT[:begin]


def test_blocks_that_lie_between_pages_of_memory_are_written_even_so(tmp_path: Path) -> None:
    odd = memoryview(mmap.mmap(-1, 1 << 20))[3 : 3 + 64 * ALIGNED]
    odd[:] = CONTENT[: len(odd)]
    writer = FileWriter(tmp_path / "file", SIZE, past_cache=True)
    writer.write(odd)
    writer.write(odd)
    writer.close()
    assert (tmp_path / "file").read_bytes() == bytes(odd) * 2


@pytest.mark.parametrize(("past_cache", "size"), [(True, SIZE), (False, SIZE), (True, 1000)])
def test_only_large_files_that_are_for_later_stay_out_of_the_cache(
    tmp_path: Path, past_cache: bool, size: int
) -> None:
    if not takes_direct_writes(tmp_path):
        pytest.skip("the file system of the tests knows no way past the cache")
    path = tmp_path / "file"
    writer = FileWriter(path, size, past_cache=past_cache)
    writer.write(block(64 * ALIGNED, 0))
    writer.close()
    assert cached_pages(path) == (0 if past_cache and size == SIZE else 64)


@pytest.mark.parametrize("past_cache", [True, False])
def test_a_full_disk_is_an_error(past_cache: bool) -> None:
    writer = FileWriter(Path("/dev/full"), SIZE, past_cache=past_cache)
    with pytest.raises(OSError, match="No space") as failed:
        writer.write(block(64 * ALIGNED, 0))
    assert failed.value.errno == errno.ENOSPC
    writer.close()


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder of tmpfs, whose answers to direct writes differ by the kernel."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def takes_direct_writes(folder: Path) -> bool:
    try:
        os.close(os.open(folder / "tried", os.O_WRONLY | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return True


def cached_pages(path: Path) -> int:
    """Of a file's pages, those in the page cache: mincore(2)."""
    size = path.stat().st_size
    pages = -(-size // mmap.PAGESIZE)
    with path.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), size)
    here = (ctypes.c_ubyte * pages)()
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    if libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(size), here) != 0:
        raise OSError(ctypes.get_errno(), "mincore")
    return sum(each & 1 for each in here)
