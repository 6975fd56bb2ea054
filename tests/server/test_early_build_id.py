"""The build ID in the beginning of an ELF file: never another than the whole file's."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.server.binaries.elf import build_id
from kernsym.server.unpack.early_build_id import early_build_id
from tests.elf_writer import BUILD_ID, NOTE, PROGBITS, elf, note, vmlinux
from tests.server.world_store import World

NOTES = note(b"Xen", 6, b"linux\0") + note(b"GNU", 3, bytes.fromhex(BUILD_ID))


def told(content: bytes, there: int | None = None) -> str | None:
    """What the first bytes tell; it never reads beyond them."""
    there = len(content) if there is None else there

    def read_at(offset: int, size: int) -> bytes:
        assert offset + size <= there
        return content[offset : offset + size]

    return early_build_id(read_at, there)


def kernel(order: str, *, wide: bool, at: int = 5000, length: int | None = None) -> bytes:
    """An ELF file whose notes stand `at` a place that its second program header names."""
    notes = note(b"Linux", 0x101, bytes(4), order)
    notes += note(b"GNU", 3, bytes.fromhex(BUILD_ID), order)
    length = len(notes) if length is None else length
    magic = b"\x7fELF" + bytes((1 + wide, 1 if order == "<" else 2, 1)) + bytes(9)
    if wide:
        head = struct.pack(f"{order}HHIQQQIHHHHHH", 2, 62, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
        rows = [struct.pack(f"{order}IIQQQQQQ", 1, 5, 0, 0, 0, 9, 9, 4)]
        rows.append(struct.pack(f"{order}IIQQQQQQ", 4, 4, at, 0, 0, length, length, 4))
    else:
        head = struct.pack(f"{order}HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
        rows = [struct.pack(f"{order}IIIIIIII", 1, 0, 0, 0, 9, 9, 5, 4)]
        rows.append(struct.pack(f"{order}IIIIIIII", 4, at, 0, 0, length, length, 4, 4))
    begin = magic + head + b"".join(rows)
    return begin + bytes(max(0, min(at, 5000) - len(begin))) + notes


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("wide", [True, False])
def test_a_kernels_headers_say_where_it_is(order: str, wide: bool) -> None:
    content = kernel(order, wide=wide)
    found = [told(content, there) for there in range(len(content) + 1)]
    assert set(found) == {None, BUILD_ID}
    assert found.index(BUILD_ID) == len(content), "once its notes are there"


def test_a_module_has_it_in_its_beginning() -> None:
    content = elf([(".note", NOTE, NOTES), (".text", PROGBITS, bytes(100_000))])
    end = content.index(bytes.fromhex(BUILD_ID)) + len(BUILD_ID) // 2
    assert [told(content, there) for there in (0, 10, 64, end - 1)] == [None] * 4
    assert told(content, end) == BUILD_ID
    late = elf([(".text", PROGBITS, bytes(100_000)), (".note", NOTE, NOTES)])
    assert told(late) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x7fELF",
        b"no ELF file, but as long as the header of one has to be, and a bit longer",
        kernel("<", wide=True, at=1 << 62),
        kernel("<", wide=True, length=1 << 40),
        kernel("<", wide=True, length=7),
        kernel("<", wide=True).replace(b"GNU", b"GNV"),
    ],
)
def test_what_tells_nothing(content: bytes) -> None:
    assert told(content) is None


@given(st.integers(0, 200), st.binary(min_size=1, max_size=8))
def test_damaged_headers_do_no_harm(at: int, damage: bytes) -> None:
    content = kernel("<", wide=True)
    told(content[:at] + damage + content[at + len(damage) :])
    content = vmlinux()
    told(content[:at] + damage + content[at + len(damage) :])


def test_real_files_tell_what_they_are(world: World) -> None:
    overlay = world.module("overlay")
    for file in (world.vmlinux, overlay):
        content = world.content(file)
        found = {told(content, there) for there in range(0, len(content), 1 << 18)}
        assert found | {file.build_id} == {None, file.build_id}
        assert told(content) == file.build_id
    assert told(world.content(overlay), 4096) == overlay.build_id
    python = Path(sys.executable).resolve()
    assert told(python.read_bytes()) == build_id(python)
