"""Build IDs of ELF files of every shape, and of what only begins like one."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import Refused
from kernsym.server.binaries import elf
from kernsym.server.binaries.elf_notes import notes
from tests.elf_writer import BUILD_ID, NOTE, module, note, vmlinux

MANY = 70_000


def small(order: str, content: bytes) -> bytes:
    """A 32-bit file with one section of notes."""
    head = b"\x7fELF\x01" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    head += struct.pack(f"{order}HHIIIIIHHHHHH", 1, 3, 1, 0, 0, 52, 0, 52, 0, 0, 40, 2, 0)
    row = struct.pack(f"{order}10I", 1, NOTE, 0, 0, 52 + 80, len(content), 0, 0, 4, 0)
    return head + bytes(40) + row + content


def crowded() -> bytes:
    """More sections than the header's field can count: the first one tells."""
    content = note(b"GNU", 3, bytes.fromhex(BUILD_ID))
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 1, 62, 1, 0, 0, 64, 0, 64, 0, 0, 64, 0, 0)
    first = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, MANY, 0, 0, 0, 0)
    last = struct.pack("<IIQQQQIIQQ", 0, NOTE, 0, 0, 64 + 64 * MANY, len(content), 0, 0, 4, 0)
    return head + first + bytes(64 * (MANY - 2)) + last + content


@pytest.mark.parametrize(
    "content",
    [
        vmlinux(),
        vmlinux(order=">"),
        small("<", note(b"GNU", 3, bytes.fromhex(BUILD_ID))),
        small(">", note(b"GNU", 3, bytes.fromhex(BUILD_ID), ">")),
        crowded(),
    ],
    ids=["64", "64 big", "32", "32 big", "many sections"],
)
def test_build_ids_are_found(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert elf.build_id(path) == BUILD_ID


def test_the_machines_own_python_reads_as_readelf_says() -> None:
    path = Path(sys.executable).resolve()
    shown = subprocess.run(["eu-readelf", "-n", path], capture_output=True, text=True).stdout
    found = elf.build_id(path)
    assert (f"Build ID: {found}" in shown) == (found is not None) == ("Build ID" in shown)


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"#!/bin/sh\n", module("ab" * 20)[:64]])
def test_other_files_are_refused_or_have_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    try:
        assert elf.build_id(path) is None
    except Refused as error:
        assert error.code == "elf-unreadable"


@given(
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8),
    cut=st.none() | st.integers(0, 1 << 12),
)
def test_damaged_files_end(changes: list[tuple[int, int]], cut: int | None) -> None:
    content = bytearray(vmlinux())
    for at, value in changes:
        content[at % len(content)] = value
    try:
        found = list(notes(io.BytesIO(bytes(content[:cut]))))
    except (ValueError, KeyError, IndexError, struct.error, OverflowError):
        return
    assert all(owner in content and data in content for owner, _, data in found)
