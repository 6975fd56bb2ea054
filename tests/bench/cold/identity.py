"""Row 11: the kernel of a raw dump, found in its memory, against grep, strings and mmap.find.

The dump is in the page cache; its banner lies near the end, as crash's own memory would have it.
"""

from __future__ import annotations

import random
import shlex
import sys
from pathlib import Path

from tests.bench.cold.table import Table, Way, ratio

ROWS = {"11"}
_BANNER = b"Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian"
_MIB = 1 << 20
_BLOCK = 6 * _MIB

_KERNSYM = """
import sys, time
from pathlib import Path
begun = time.perf_counter()
from kernsym.client.dumps import read_facts
assert read_facts(Path(sys.argv[1])).fingerprint.release
seconds = time.perf_counter() - begun
print(seconds, Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
_MMAP = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
    assert memory.find(b"Linux version ") >= 0
"""


def measure(table: Table, mebibytes: int) -> None:
    path = table.folder / "memory.raw"
    for title, write, goals in (
        ("raw", _write_memory, {"grep -aom1": 1.0, "strings | grep -m1": 15.0}),
        ("sparse", _write_sparse, {"strings | grep -m1": 15.0}),
    ):
        write(path, mebibytes * _MIB)
        _warm(path)
        ways = _ways(path)
        if title == "sparse":  # grep would hold the hole, one line of zeros to it, in memory
            ways = [way for way in ways if not way.title.startswith("grep")]
        took = table.compare(f"11. identity of a dump, {title}, {mebibytes} MiB", ways)
        path.unlink()
        for other, goal in goals.items():
            what = f"identity, {title}: times as quick as {other}"
            table.at_least("11", what, ratio(took, other, "kernsym"), goal, "x")


def _ways(path: Path) -> list[Way]:
    name = shlex.quote(str(path))
    python = shlex.quote(sys.executable)
    return [
        Way(title="kernsym", command=f"{python} -c {shlex.quote(_KERNSYM)} {name}", own=True),
        Way(
            title="grep -aom1",
            command=f"LC_ALL=C grep -aom1 'Linux version [0-9].*' {name}",
            needs="grep",
        ),
        Way(title="mmap.find", command=f"{python} -c {shlex.quote(_MMAP)} {name}"),
        Way(
            title="strings | grep -m1",
            command=f"strings {name} | grep -m1 'Linux version'",
            needs="strings",
        ),
    ]


def _write_memory(path: Path, size: int) -> None:
    """What memory is like: a third zeros, a third code, a third text and tables."""
    chance = random.Random(1)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz_ \n\0", k=12)) for _ in range(1000)]
    text = b"".join(chance.choices(words, k=_BLOCK // 3 // 12))
    block = (bytes(_BLOCK // 3) + chance.randbytes(_BLOCK // 3) + text).ljust(_BLOCK, b"\0")
    with path.open("wb") as file:
        for at in range(0, size, _BLOCK):
            file.write(block[: min(_BLOCK, size - at)])
        file.seek(size - _MIB)
        file.write(b"\0" + _BANNER + b"\n\0")


def _write_sparse(path: Path, size: int) -> None:
    """The same banner near the end of a file that is nearly all hole."""
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size - _MIB)
        file.write(b"\0" + _BANNER + b"\n\0")


def _warm(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(8 * _MIB)
        while file.readinto(buffer):
            pass
