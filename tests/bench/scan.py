"""Times finding a kernel's banner in raw memory, against grep, strings and mmap.find.

    python tests/bench/scan.py [--repeat 5] [--mebibytes 4096] [--folder DIRECTORY] [DUMP...]

Writes a file of that size (banner near its end) and a sparse one, reads them once so that the page
cache is warm, and runs each method in a process of its own.  Prints the median wall time, the
ratio to kernsym's, and the peak resident memory.  Of each DUMP given it times `read_facts`.
"""

from __future__ import annotations

import argparse
import os
import random
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BANNER = b"Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org) (gcc-12) #1 SMP Debian"
MIB = 1 << 20
BLOCK = 6 * MIB  # small: a child's peak counts its parent's memory before exec

KERNSYM = """
import sys
from pathlib import Path
from kernsym.client.dumps import read_facts
facts = read_facts(Path(sys.argv[1]))
print(facts.fingerprint.banner or facts.fingerprint.release)
"""
MMAP = """
import mmap, sys
with open(sys.argv[1], "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as memory:
    at = memory.find(b"Linux version ")
    print(memory[at:at + 80])
"""


def methods(path: Path) -> dict[str, list[str]]:
    """The command lines by name; those of shells are what people are told to type."""
    name = shlex.quote(str(path))
    return {
        "kernsym": [sys.executable, "-c", KERNSYM, str(path)],
        "grep -aom1": ["sh", "-c", f"LC_ALL=C grep -aom1 'Linux version [0-9].*' {name}"],
        "mmap.find": [sys.executable, "-c", MMAP, str(path)],
        "strings | grep -m1": ["sh", "-c", f"strings {name} | grep -m1 'Linux version'"],
    }


def write_memory(path: Path, size: int) -> None:
    """What memory is like: a third zeros, a third code, a third text and tables."""
    chance = random.Random(1)
    words = [bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz_ \n\0", k=12)) for _ in range(1000)]
    text = b"".join(chance.choices(words, k=BLOCK // 3 // 12))
    block = (bytes(BLOCK // 3) + chance.randbytes(BLOCK // 3) + text).ljust(BLOCK, b"\0")
    with path.open("wb") as file:
        for at in range(0, size, BLOCK):
            file.write(block[: min(BLOCK, size - at)])
        file.seek(size - MIB)
        file.write(b"\0" + BANNER + b"\n\0")


def write_sparse(path: Path, size: int) -> None:
    """The same banner near the end of a file that is nearly all hole."""
    with path.open("wb") as file:
        file.truncate(size)
        file.seek(size - MIB)
        file.write(b"\0" + BANNER + b"\n\0")


def warm(path: Path) -> None:
    with path.open("rb", buffering=0) as file:
        buffer = bytearray(8 * MIB)
        while file.readinto(buffer):
            pass


def run(command: list[str]) -> tuple[float, float, int]:
    """Wall and processor seconds, and peak resident KiB (of a shell's largest child)."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    answer = process.stdout.read()
    _, _, usage = os.wait4(process.pid, 0)
    process.stdout.close()
    process.returncode = 0  # it was waited for here
    if not answer:
        sys.exit(f"found nothing: {shlex.join(command)}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def compare(title: str, commands: dict[str, list[str]], repeat: int) -> None:
    """Runs all methods in turn, so that a busy moment of the machine does not hit one alone."""
    runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in commands}
    for _ in range(repeat):
        for name, command in commands.items():
            runs[name].append(run(command))
    wall = {name: statistics.median(taken[0] for taken in runs[name]) for name in commands}
    print(f"\n{title}, median of {repeat}\n  {'':20}     wall    ratio      cpu      peak")
    for name in commands:
        cpu = statistics.median(taken[1] for taken in runs[name])
        peak = max(taken[2] for taken in runs[name]) / 1024
        ratio = wall[name] / wall["kernsym"]
        print(f"  {name:20} {wall[name]:6.2f} s {ratio:6.2f} x {cpu:6.2f} s {peak:5.0f} MiB")


def time_dump(path: Path, repeat: int) -> None:
    """`read_facts` alone, without the interpreter's start."""
    from kernsym.client.dumps import read_facts
    from kernsym.distros import KernsymError

    taken = []
    for _ in range(repeat):
        began = time.perf_counter()
        try:
            facts = read_facts(path)
        except KernsymError as error:
            print(f"  {path.name:28} {error.code}")
            return
        taken.append(time.perf_counter() - began)
    print(f"  {path.name:28} {statistics.median(taken) * 1000:9.1f} ms   {facts.format}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--mebibytes", type=int, default=4096)
    parser.add_argument("--folder", help="where the files are written for a while")
    parser.add_argument("dumps", nargs="*", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        path = Path(name) / "memory.raw"
        write_memory(path, options.mebibytes * MIB)
        warm(path)
        compare(f"raw memory, {options.mebibytes} MiB", methods(path), options.repeat)
        path.unlink()
        sparse = Path(name) / "sparse.raw"
        write_sparse(sparse, options.mebibytes * MIB * 4)
        # grep would hold the hole, one line of zeros to it, in memory.
        alone = {"kernsym": methods(sparse)["kernsym"]}
        compare(f"sparse, {options.mebibytes * 4} MiB", alone, options.repeat)
    if options.dumps:
        print(f"\nread_facts, median of {options.repeat}")
    for dump in options.dumps:
        time_dump(dump, options.repeat)


if __name__ == "__main__":
    main()
