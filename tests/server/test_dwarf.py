"""Where the sources lay, read from DWARF that is written here."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from kernsym.server.binaries.dwarf import source_prefix
from tests.elf_writer import PROGBITS, elf

# Two abbreviations (DWARF 4, 7.5.3): a compile unit without children, name and folder as strings,
# and a partial unit, the folder as a string.
ABBREVIATIONS = bytes([1, 0x11, 0, 0x03, 0x08, 0x1B, 0x08, 0, 0, 2, 0x3C, 0, 0x1B, 0x08, 0, 0, 0])


def units(*units: tuple[str, str]) -> bytes:
    """`.debug_info` with compile units of (folder, name)."""
    return b"".join(unit(b"\1" + f"{name}\0{folder}\0".encode()) for folder, name in units)


def unit(entry: bytes) -> bytes:
    body = struct.pack("<HIB", 4, 0, 8) + entry
    return struct.pack("<I", len(body)) + body


def write(folder: Path, debug_info: bytes) -> Path:
    path = folder / "vmlinux"
    sections = [(".debug_info", PROGBITS, debug_info), (".debug_abbrev", PROGBITS, ABBREVIATIONS)]
    path.write_bytes(elf(sections))
    return path


BUILD = "/build/linux-Ab12Cd/linux-5.15.0"
REDHAT = "/usr/src/debug/kernel-4.18.0/linux-4.18.0.x86_64"


@pytest.mark.parametrize(
    ("found", "prefix"),
    [
        ([("/build/linux-6.1.76", "init/main.c"), ("/build/linux-6.1.76", "kernel/panic.c")],
         "/build/linux-6.1.76"),
        ([(REDHAT, f"{REDHAT}/arch/x86/a.S"), (REDHAT, f"{REDHAT}/init/main.c")], REDHAT),
        # Built in a folder below the tree: most names are absolute, those of made files relative.
        ([(f"{BUILD}/debian/build/build-generic", f"{BUILD}/init/main.c"),
          (f"{BUILD}/debian/build/build-generic", "arch/x86/made.c"),
          (f"{BUILD}/debian/build/build-generic", f"{BUILD}/kernel/panic.c")], BUILD),
        # One assembler's unit that knows another folder has no say.
        ([("/tmp", "/tmp/odd.S"), (REDHAT, f"{REDHAT}/a.c"), (REDHAT, f"{REDHAT}/b.c")], REDHAT),
        ([("/", "/init.c")], ""),
        ([("relative", "init.c")], ""),
        ([], ""),
    ],
)  # fmt: skip
def test_the_prefix_is_what_most_units_share(
    tmp_path: Path, found: list[tuple[str, str]], prefix: str
) -> None:
    assert source_prefix(write(tmp_path, units(*found))) == prefix


@pytest.mark.parametrize("size", [10, 2000])
def test_partial_units_do_not_count(tmp_path: Path, size: int) -> None:
    """dwz puts them first, in a vmlinux some thousands of them."""
    partial = unit(b"\2" + b"/" + b"x" * size + b"\0") * 3000
    assert source_prefix(write(tmp_path, partial + units((REDHAT, "a.c")))) == REDHAT


@pytest.mark.parametrize(
    "broken", [b"\xff" * 64, units((REDHAT, "a.c"))[:-3], b"\0" * 40], ids=["noise", "cut", "zeros"]
)
def test_broken_dwarf_tells_nothing(tmp_path: Path, broken: bytes) -> None:
    assert source_prefix(write(tmp_path, broken)) == ""


def test_a_file_that_is_no_elf_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "vmlinux").write_bytes(b"#!/bin/sh\n")
    assert source_prefix(tmp_path / "vmlinux") == ""
