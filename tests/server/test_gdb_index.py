"""gdb's index: brought into the form that crash's gdb reads, and refused when it is none."""

from __future__ import annotations

import struct

import pytest

from kernsym.distros import Unusable
from kernsym.server.binaries.gdb_index import Gdb, readable

GDB = Gdb(path="/usr/bin/gdb", title="gdb 16.2")
UNITS, TYPES, ADDRESSES, SYMBOLS, POOL = b"U" * 16, b"T" * 24, b"A" * 20, b"S" * 32, b"P" * 9
SHORTCUTS = struct.pack("<II", 12, 0)


def index(version: int, *, shortcuts: bytes | None = None) -> bytes:
    """An index with its tables in the order of the manual."""
    tables = [UNITS, TYPES, ADDRESSES, SYMBOLS, *([] if shortcuts is None else [shortcuts]), POOL]
    offsets, at = [], 4 + 4 * len(tables)
    for table in tables:
        offsets.append(at)
        at += len(table)
    return struct.pack(f"<{1 + len(tables)}I", version, *offsets) + b"".join(tables)


@pytest.mark.parametrize("version", [7, 8])
def test_what_crash_reads_is_left_as_it_is(version: int) -> None:
    assert readable(index(version), GDB) == index(version)


def test_version_9_becomes_version_8_without_its_table_of_shortcuts() -> None:
    assert readable(index(9, shortcuts=SHORTCUTS), GDB) == index(8)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        index(6),
        index(10),
        index(8)[:20],
        index(9, shortcuts=SHORTCUTS)[:26],
        struct.pack("<6I", 8, 24, 500, 40, 60, 80) + bytes(600),
        struct.pack("<7I", 9, 28, 28, 28, 28, 900, 40) + bytes(100),
        struct.pack("<7I", 9, 28, 28, 28, 90, 30, 40) + bytes(100),
    ],
)
def test_anything_else_is_no_index(broken: bytes) -> None:
    with pytest.raises(Unusable, match=r"gdb 16\.2 made no index"):
        readable(broken, GDB)
