"""What it costs to learn what lies in a folder, beside elfutils' debuginfod on the same folder.

    python tests/bench/folder.py [--packages 10000] [--work DIRECTORY] [FOLDER...]

Makes a folder of small packages, half of them RPMs with the links of their build IDs, half debs
without, and one with the packages of the bundled worlds, some unpacked; FOLDERs are measured as
they are.  Prints wall and processor seconds, peak memory and the index's size:

    scan      kernsym scan: after it every kernel is found, and what an RPM or a tree has in it
    again     the same once more
    inside    a server's quiet hours: what the debs have in them is known too
    -F -R -U  debuginfod's first pass; `again` its second, in a new process
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.contenders import debuginfod_of
from tests.deb_writer import ar, tar
from tests.elf_writer import module
from tests.rpm_writer import rpm

WORLDS = Path(__file__).parents[1] / "worlds"
MEMBERS = 3
INSIDE = """
import asyncio, sys
from pathlib import Path
from kernsym.cache import Store
from kernsym.distros import Source
from kernsym.server.jobs import JobBoard
from kernsym.server.lookup.package_index import PackageIndex

async def look(store, folder):
    source = Source(distro="*", kind="directory", url=folder.as_uri())
    index = PackageIndex(store, (source,), enabled=True)
    async with index.working(JobBoard()):
        await asyncio.sleep(1)
        while index.unread:
            await asyncio.sleep(0.2)

asyncio.run(look(Store(Path(sys.argv[1])), Path(sys.argv[2])))
"""


def small_packages(folder: Path, count: int) -> None:
    """Debug packages of kernels with a few modules, in a hundred folders."""
    for number in range(count):
        place = folder / f"{number % 100:02}"
        place.mkdir(parents=True, exist_ok=True)
        ids = [hashlib.sha1(b"%d.%d" % (number, each)).hexdigest() for each in range(MEMBERS)]
        write = _write_rpm if number % 2 else _write_deb
        write(place, number, ids)


def _write_rpm(folder: Path, number: int, ids: list[str]) -> None:
    edition = f"4.18.0-{number}.el8"
    tree = f"usr/lib/debug/lib/modules/{edition}.x86_64/kernel"
    tags: dict[int, str | list[str] | tuple[int, ...]] = {
        1001: "4.18.0",
        1002: f"{number}.el8",
        1044: "kernel.src.rpm",
        1117: [f"{each[2:]}.debug" for each in ids],
        1118: [f"/usr/lib/debug/.build-id/{each[:2]}/" for each in ids],
        1116: tuple(range(len(ids))),
        1036: [f"../../lib/modules/{edition}.x86_64/m{place}.ko.debug" for place in range(MEMBERS)],
    }
    members = [
        (f"./{tree}/m{place}.ko.debug", module(each, os.urandom(10_000) + bytes(10_000)))
        for place, each in enumerate(ids)
    ]
    path = folder / f"kernel-debuginfo-{edition}.x86_64.rpm"
    path.write_bytes(rpm(members, "gzip", tags={**tags}))


def _write_deb(folder: Path, number: int, ids: list[str]) -> None:
    uname = f"6.1.0-{number}-amd64"
    fields = f"Package: linux-image-{uname}-dbg\nVersion: 6.1.{number}-1\nArchitecture: amd64\n"
    tree = f"./usr/lib/debug/lib/modules/{uname}/kernel"
    members = [
        (f"{tree}/m{place}.ko", module(each, os.urandom(10_000) + bytes(10_000)))
        for place, each in enumerate(ids)
    ]
    content = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(tar([("./control", fields.encode())]))),
        ("data.tar.gz", gzip.compress(tar(members))),
    ]
    (folder / f"linux-image-{uname}-dbg_6.1.{number}-1_amd64.deb").write_bytes(ar(content))


def worlds(folder: Path) -> None:
    """Links to the packages of the worlds, and one of them unpacked."""
    for package in (*WORLDS.glob("**/*.rpm"), *WORLDS.glob("**/*.*deb")):
        target = folder / package.relative_to(WORLDS)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(package, target)
    debug = next(folder.glob("debian12/**/*-dbg_*.deb"))
    subprocess.run(["dpkg-deb", "-x", debug, folder / "unpacked"], check=True)


def run(command: list[str]) -> tuple[float, float, int]:
    """Wall and processor seconds, peak in KiB, of a command and its children."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{command[0]} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss


def index_bytes(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def show(name: str, wall: float, cpu: float, peak: int, index: int) -> None:
    print(
        f"  {name:24} {wall:7.2f} s {cpu:7.2f} s {peak / 1024:6.0f} MiB {index / 1e6:8.2f} MB",
        flush=True,
    )


def compare(title: str, folder: Path, work: Path) -> None:
    files = sum(len(names) for _, _, names in os.walk(folder))
    print(f"\n{title}, {files} files{'':12}   wall       cpu       peak       index")
    store = work / "store"
    scan = [sys.executable, "-m", "kernsym.server.scan", "--store", str(store), str(folder)]

    def indexed() -> int:
        return index_bytes(store, "index/scanned*") + index_bytes(store, "known/*")

    for name, command in (
        ("kernsym scan", scan),
        ("  again", scan),
        ("  inside", [sys.executable, "-c", INSIDE, str(store), str(folder)]),
    ):
        show(name, *run(command), indexed())
    for name in ("debuginfod -F -R -U", "  again"):
        began = time.perf_counter()
        with debuginfod_of(folder, work) as one:
            wall, cpu, peak = time.perf_counter() - began, one.processor(), one.peak()
        show(name, wall, cpu, peak, index_bytes(work, "debuginfod.sqlite*"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=int, default=10_000)
    parser.add_argument("--work", type=Path, help="where folders and indexes are made for a while")
    parser.add_argument("folders", nargs="*", type=Path)
    options = parser.parse_args()
    make: dict[str, Callable[[Path], None]] = {
        f"{options.packages} small packages": lambda to: small_packages(to, options.packages),
        "the worlds' packages": worlds,
    }
    for title, fill in make.items():
        with tempfile.TemporaryDirectory(dir=options.work) as name:
            (Path(name) / "folder").mkdir()
            fill(Path(name) / "folder")
            compare(title, Path(name) / "folder", Path(name))
    for folder in options.folders:
        with tempfile.TemporaryDirectory(dir=options.work) as name:
            compare(str(folder), folder.absolute(), Path(name))


if __name__ == "__main__":
    main()
