"""Counting and walking the bits of a bitmap in a file."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.client.dumps.bitmap import Bitmap
from kernsym.client.dumps.content import FileContent

BLOCK = 4096 * 8  # bits

RUNS = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3 * BLOCK), st.sampled_from([BLOCK - 1, BLOCK, 2 * BLOCK])),
        st.sampled_from([1, 2, 7, 8, 9, 100, BLOCK, BLOCK + 1]),
    ),
    max_size=6,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bitmap") / "file"


@settings(deadline=None)
@given(runs=RUNS, first=st.integers(0, 2 * BLOCK), length=st.integers(0, 5 * BLOCK))
def test_bits(path: Path, runs: list[tuple[int, int]], first: int, length: int) -> None:
    size = 4 * BLOCK + 3
    bits = {bit for start, count in runs for bit in range(start, min(start + count, size))}
    data = bytearray((size + 7) // 8)
    for bit in bits:
        data[bit // 8] |= 1 << bit % 8
    path.write_bytes(b"\xff" * 100 + data + b"\xff" * 9)
    content = FileContent(path)
    bitmap = Bitmap(content, 100, size)
    stop = first + length
    walked = list(bitmap.runs(first, stop))
    assert {bit for start, end in walked for bit in range(start, end)} == {
        bit for bit in bits if first <= bit < stop
    }
    ends = [0, *(border for run in walked for border in run)]
    assert all(low < high for low, high in itertools.pairwise(ends[1:])), "joined, ascending"
    for bit in {first, stop, 0, size - 1, *(start for start, _ in runs)}:
        assert bitmap.rank(bit) == sum(other < bit for other in bits)
        assert bitmap.has(bit) is (bit in bits)
    content.close()


def test_what_is_cut_off_is_not_set(path: Path) -> None:
    path.write_bytes(b"\xff" * 10)
    content = FileContent(path)
    bitmap = Bitmap(content, 2, 1 << 60)
    assert list(bitmap.runs(0, 1 << 60)) == [(0, 64)]
    assert bitmap.rank(1 << 60) == 64
    assert not bitmap.has(64)
    content.close()
