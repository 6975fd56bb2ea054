"""Broken headers of every format: facts or an error with a code, soon and in little memory."""

from __future__ import annotations

import gzip
import resource
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.client.dumps import DumpFacts, facts_of, open_dump
from kernsym.client.dumps.pages import BrokenPage, expand
from kernsym.distros import KernsymError
from tests.client.dumps import writers

DATA = Path(__file__).parent / "data"
HELD = writers.memory(info=True)
INFO = writers.vmcoreinfo()
NOTE = writers.note(b"VMCOREINFO", 0, INFO)

WRITTEN = {
    "elf": writers.elf(HELD, notes=NOTE),
    "elf-numerous": writers.elf(HELD, notes=NOTE, numerous=True),
    "elf-big-endian": writers.elf(HELD, order=">", machine=22),
    "kdump-1": writers.kdump(HELD, version=1, uts=writers.utsname()),
    "kdump-6": writers.kdump(HELD, info=INFO, notes=NOTE, compression="zstd"),
    "kdump-lzo": writers.kdump(HELD, info=INFO, compression="lzo"),
    "kdump-snappy": writers.kdump(HELD, info=INFO, compression="snappy"),
    "kdump-split": writers.kdump(HELD, info=INFO, part=(10, 400)),
    "flattened": writers.flatten(writers.kdump(HELD, info=INFO)),
    "vmss": writers.checkpoint(HELD, regions=[(0, 0, 256), (256, 512, 256)]),
}
REAL = {path.stem: gzip.decompress(path.read_bytes()) for path in sorted(DATA.glob("*.gz"))}
DUMPS = WRITTEN | REAL

# Numbers that break sums, products and loops, in either byte order.
NASTY = [
    number.to_bytes(width, order)
    for width in (1, 2, 4, 8)
    for number in (0, 1, (1 << width * 8) - 1, 1 << width * 8 - 1, (1 << width * 8 - 1) - 1)
    for order in ("little", "big")
]


def offsets(size: int) -> st.SearchStrategy[int]:
    """Any place of a file, the headers far more often."""
    return st.one_of(
        *(st.integers(0, min(size, limit) - 1) for limit in (64, 512, 4300, 9000, size))
    )


@st.composite
def broken(draw: st.DrawFn) -> bytes:
    data = bytearray(DUMPS[draw(st.sampled_from(sorted(DUMPS)))])
    for _ in range(draw(st.integers(1, 6))):
        at = draw(offsets(len(data)))
        change = draw(st.one_of(st.sampled_from(NASTY), st.binary(min_size=1, max_size=16)))
        data[at : at + len(change)] = change
    if draw(st.booleans()):
        del data[draw(offsets(len(data))) + 1 :]
    return bytes(data)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """One folder for all examples: hypothesis calls a test many times."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def outcome_of(path: Path, address: int = 0) -> None:
    """Facts of the dump, or an error that names it; a little memory, some seconds at most."""
    began = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with closing(open_dump(path)) as reader:
            assert isinstance(facts_of(reader), DumpFacts)
            for place in (address, address % HELD.size):
                assert len(reader.read(place, 5000)) == 5000
    except KernsymError as error:
        assert error.code and str(path) in error.message
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10, "KiB"
    assert time.monotonic() - began < 5


@given(data=broken(), address=st.integers(0, 1 << 64))
@settings(max_examples=600, deadline=None)
def test_facts_or_an_error_with_a_code(folder: Path, data: bytes, address: int) -> None:
    outcome_of(writers.write(folder, "dump", data), address)


FULL = b"\xff" * 8
LARGE = (1 << 39).to_bytes(8, "little")
SUB = writers.PAGE  # where a kdump's sub header begins


@pytest.mark.parametrize(
    ("name", "patches"),
    [
        pytest.param("kdump-6", {SUB + 12: b"\1", SUB + 80: FULL[:7], SUB + 88: FULL}, id="split"),
        pytest.param("kdump-6", {436: FULL[:4], SUB + 96: LARGE}, id="frames without a bitmap"),
        pytest.param("kdump-6", {SUB + 40: FULL, SUB + 56: FULL}, id="sizes of texts"),
        pytest.param("kdump-1", {2 * SUB: b"\x55" * SUB}, id="memory in many pieces"),
        pytest.param("elf", {56: b"\xfe\xff"}, id="program headers"),
        pytest.param("elf-numerous", {64 + 44: FULL[:4]}, id="a table of program headers"),
        pytest.param("elf", {96: FULL, 104: FULL}, id="size of notes"),
        pytest.param("elf", {64 + 56 + 24: FULL, 64 + 56 + 32: FULL}, id="a segment's size"),
        pytest.param("flattened", {4096: FULL[:7]}, id="a record's offset"),
        pytest.param("vmss", {8: FULL[:4]}, id="groups"),
    ],
)
def test_hostile_numbers(name: str, patches: dict[int, bytes], tmp_path: Path) -> None:
    data = bytearray(WRITTEN[name])
    for at, change in patches.items():
        data[at : at + len(change)] = change
    assert data != WRITTEN[name]
    outcome_of(writers.write(tmp_path, "dump", bytes(data)))


def test_many_vmcoreinfos_are_not_all_tried(tmp_path: Path) -> None:
    infos = b"".join(
        writers.vmcoreinfo(KERNELOFFSET=f"{number:x}").ljust(4096, b"\0")
        for number in range(1, 3000)
    )
    outcome_of(writers.write(tmp_path, "dump", bytes(4096) + infos))


@given(
    data=st.binary(max_size=5000),
    valid=st.sampled_from(sorted(writers.COMPRESSORS)),
    flags=st.integers(0, 0xFF),
    at=st.integers(0, 200),
    cut=st.integers(0, 5000),
)
@settings(max_examples=600, deadline=1000)
def test_broken_pages(data: bytes, valid: str, flags: int, at: int, cut: int) -> None:
    flag, compress = writers.COMPRESSORS[valid]
    page = bytearray(compress(bytes(range(256)) * 16))
    page[at : at + len(data)] = data
    for stored in (data, bytes(page), bytes(page[:cut])):
        for used in (flag, flags):
            try:
                assert len(expand(stored, used, 4096)) == 4096
            except BrokenPage as error:
                assert str(error)


@pytest.mark.parametrize("compression", [name for name in writers.COMPRESSORS if name])
def test_bombs_are_not_expanded(compression: str) -> None:
    flag, compress = writers.COMPRESSORS[compression]
    bomb = compress(bytes(16 << 20))[:4096]
    tracemalloc.start()
    try:
        assert expand(bomb, flag, 4096) == bytes(4096)
    except BrokenPage as error:
        assert str(error)
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 2 << 20
