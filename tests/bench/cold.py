"""Times unpacking and downloading a kernel's symbols, beside what people use for it today.

    python tests/bench/cold.py [--runs 5] [--rows 1,2,3,4,7,9] [--folder DIRECTORY] [PACKAGE.deb]

PACKAGE.deb is a Debian kernel's -dbg package; without one apt fetches the newest (about 0.9 GB).
The RPMs of row 9 are packed here, of as many of its files as --rpm-megabytes allows.  Prints
medians: wall and processor seconds (of all processes), wall in proportion to kernsym's, and the
peak resident memory.  Row 4 leaves out the interpreter's start: there a server runs already.

Tried on Debian's 6.1.192 package and not kept (processor seconds):
- for all files: pyelftools for the modules' build IDs, 2.7 s instead of 0.05 s
- for vmlinux: libarchive's bytes in place instead of a copy of them, 7.2 s instead of 7.2 s;
  malloc kept from giving memory back, 7.5 s instead of 7.7 s
- for ext4: all decoders on the blocks of one module, 2.9 s and 200 MB instead of 0.6 s and 61 MB;
  searching it by files a block holds on average, 2.3 s, instead of down to its own block
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests import kernel_rpms
from tests.upstream import UpstreamServer

ROWS = "1,2,3,4,7,9"
RATE = 40e6  # bytes per second, of row 7's mirror
LOADED = ["ext4", "mbcache", "jbd2", "xfs", "overlay", "loop", "dm_mod", "virtio_net", "virtio_blk"]
LOADED += ["virtio_scsi", "sd_mod", "sr_mod", "ahci", "libata", "e1000e", "kvm", "kvm_intel"]
LOADED += ["nf_conntrack", "nfs", "sunrpc"]

# PACKAGE INTO NAMES [URL]: unpacks vmlinux, modules or `all` of a package; with a URL it is
# downloaded to PACKAGE meanwhile.
KERNSYM = """
import re, sys, time
from pathlib import Path
from kernsym.distros import Layout, Package, PackageRef, Role
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.unpack import extract

package, into, names, *urls = sys.argv[1:]
package, into, left = Path(package), Path(into), set(names.split(","))
everything = left == {"all"}
layout = Layout(
    vmlinux=re.compile("usr/lib/debug/boot/vmlinux-.*"),
    modules=re.compile("usr/lib/debug/lib/modules/.*/(?P<name>[^/]+[.]ko)"),
    system_map=re.compile("usr/lib/debug/boot/System[.]map-.*"),
)

def wanted(kind, name, path):
    return everything or name in left

def unpack(growing):
    return extract(
        growing, layout, wanted, into, lambda file: left.discard(file.name), stop=lambda: not left
    )

def from_disk(growing):
    growing.begin(package)
    growing.grown(package.stat().st_size, whole=True)
    unpack(growing)

async def from_mirror(growing):
    import asyncio
    from kernsym.server.mirrors.download import download
    from kernsym.server.mirrors.upstream import Upstream

    ref = PackageRef(
        package=Package(role=Role.DEBUGINFO, id=package.name, name="", version="", arch=""),
        url=urls[0], origin="", why="",
    )
    async with Upstream(into / "pages") as upstream:
        loading = asyncio.create_task(download(upstream, ref, package, growing))
        if names != "none":
            await asyncio.to_thread(unpack, growing)
        await loading

growing = GrowingFile()
begun = time.perf_counter()
if urls:
    import asyncio
    asyncio.run(from_mirror(growing))
else:
    from_disk(growing)
growing.close()
wall = time.perf_counter() - begun
status = Path("/proc/self/status").read_text()
print(wall, status.partition("VmHWM:")[2].split()[0])
assert everything or not left or names == "none", left
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to do it: a command, in which {into} is an empty folder.  Kernsym's own print their
    wall seconds and peak memory, which counts where `inside`: without the interpreter's start."""

    title: str
    command: str
    own: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds, and resident KiB at most."""

    wall: float
    cpu: float
    peak: int


def kernsym(package: Path, names: str, *rest: str, inside: bool = False) -> Way:
    words = [sys.executable, "-c", KERNSYM, str(package), "INTO", names, *rest]
    command = shlex.join(words).replace("{", "{{").replace("}", "}}").replace("INTO", "{into}", 1)
    return Way(title="kernsym", command=command, own=True, inside=inside)


def run(way: Way, folder: Path) -> Took:
    into = folder / "into"
    into.mkdir()
    begun = time.perf_counter()
    process = subprocess.Popen(
        ["bash", "-c", f"set -o pipefail; {way.command.format(into=shlex.quote(str(into)))}"],
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    answer = process.stdout.read().split()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.stdout.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    shutil.rmtree(into)
    if process.returncode and way.own:
        sys.exit(f"failed: {way.title}")
    peak = int(answer[1]) if way.own else usage.ru_maxrss
    cpu = usage.ru_utime + usage.ru_stime
    return Took(wall=float(answer[0]) if way.inside else wall, cpu=cpu, peak=peak)


def compare(
    title: str, ways: list[Way], folder: Path, runs: int, before: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """Runs all ways in turn, so that a busy moment of the machine does not hit one alone; the
    median wall seconds by title.  `before` each run something may have to be made ready."""
    took: dict[str, list[Took]] = {way.title: [] for way in ways}
    for _ in range(runs):
        for way in ways:
            before()
            took[way.title].append(run(way, folder))
    wall = {name: statistics.median(each.wall for each in took[name]) for name in took}
    print(f"\n{title}, median of {runs}\n  {'':34}     wall    ratio      cpu      peak")
    for name, all_runs in took.items():
        cpu = statistics.median(each.cpu for each in all_runs)
        peak = max(each.peak for each in all_runs) / 1024
        ratio = wall[name] / wall[ways[0].title]
        print(f"  {name:34} {wall[name]:6.2f} s {ratio:6.2f} x {cpu:6.2f} s {peak:5.0f} MiB")
    return wall


def tar(package: Path, paths: list[str]) -> str:
    """What people type to take single files; tar would else read on to the end."""
    names = shlex.join(f"./{path}" for path in paths)
    return (
        f"dpkg-deb --fsys-tarfile {shlex.quote(str(package))} 2>/dev/null"
        f" | tar x -C {{into}} --occurrence=1 {names}; true"
    )


def rows_of_the_package(package: Path, folder: Path, rows: set[str], runs: int) -> None:
    paths = contents(package)
    vmlinux = next(path for path in paths if "/vmlinux-" in path)
    by_name = {Path(path).stem.replace("-", "_"): path for path in paths if path.endswith(".ko")}
    names = [name for name in LOADED if name in by_name]
    some = [vmlinux, *(by_name[name] for name in names)]
    one = names[0]
    quoted = shlex.quote(str(package))
    xz = f"ar p {quoted} data.tar.xz | xz -T{{threads}} -dc >/dev/null"
    if "1" in rows:
        ways = [kernsym(package, "all")]
        ways.append(Way(title="dpkg-deb -x", command=f"dpkg-deb -x {quoted} {{into}}"))
        for threads in (1, 2):
            title = f"limit: xz -T{threads} -dc"
            ways.append(Way(title=title, command=xz.format(threads=threads)))
        compare("1. all files of the .deb", ways, folder, runs)
    for row, title, wanted, files in (
        ("2", "vmlinux only", "vmlinux", [vmlinux]),
        ("3", f"vmlinux and {len(names)} modules", ",".join(["vmlinux", *names]), some),
        ("4", f"one module, {one}, in a server that runs", one, [by_name[one]]),
    ):
        if row in rows:
            ways = [kernsym(package, wanted, inside=row == "4")]
            ways.append(Way(title="dpkg-deb | tar --occurrence=1", command=tar(package, files)))
            compare(f"{row}. {title}", ways, folder, runs)


def row_of_the_mirror(package: Path, folder: Path, runs: int) -> None:
    copy = folder / "downloaded.deb"
    with UpstreamServer(package.parent) as server:
        server.rate = RATE
        url = f"{server.url}/{package.name}"
        together = kernsym(copy, "all", url)
        alone = kernsym(copy, "none", url)
        ways = [
            together,
            Way(title="download alone", command=alone.command, own=True),
            Way(title="unpack alone", command=kernsym(package, "all").command, own=True),
        ]
        title = f"7. download at {RATE / 1e6:.0f} MB/s and unpack together"
        wall = compare(title, ways, folder, runs, lambda: copy.unlink(missing_ok=True))
    longer = max(wall["download alone"], wall["unpack alone"])
    print(f"  together, in proportion to the longer of the two: {wall['kernsym'] / longer:.2f}")


def rows_of_rpms(package: Path, folder: Path, runs: int, most_bytes: int) -> None:
    tree = folder / "tree"
    kernel_rpms.unpack_some(package, tree, most_bytes)
    for title, rpm in kernel_rpms.build(tree, folder).items():
        quoted = shlex.quote(str(rpm))
        ways = [
            kernsym(rpm, "all"),
            Way(title="bsdtar -x", command=f"bsdtar -x -f {quoted} -C {{into}}"),
            Way(
                title="rpm2cpio | cpio",
                command=f"rpm2cpio {quoted} | (cd {{into}} && cpio -idm --quiet)",
            ),
        ]
        compare(f"9. all files of the RPM ({title})", ways, folder, runs)


def contents(package: Path) -> list[str]:
    """The paths of its files, by the list that it carries."""
    command = ["dpkg-deb", "--info", str(package), "md5sums"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split(maxsplit=1)[1] for line in lines]


def fetch(folder: Path) -> Path:
    """The newest -dbg package of this machine's archive and architecture, through apt."""
    pattern = "^linux-image-[0-9].*-(amd64|arm64)-dbg$"
    found = subprocess.run(
        ["apt-cache", "search", "--names-only", pattern], check=True, capture_output=True, text=True
    )
    names = [line.split()[0] for line in found.stdout.splitlines()]
    if not names:
        sys.exit("apt knows of no kernel's -dbg package: name one")
    subprocess.run(["apt-get", "download", names[-1]], check=True, cwd=folder)
    return next(folder.glob("*.deb"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("package", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", default=ROWS)
    parser.add_argument("--rpm-megabytes", type=int, default=1500)
    parser.add_argument("--folder", help="where the files are written for a while")
    options = parser.parse_args()
    rows = set(options.rows.split(","))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        package = options.package.resolve() if options.package else fetch(folder)
        subprocess.run(["cksum", str(package)], check=True, capture_output=True)  # into memory
        print(f"{package.name}, {package.stat().st_size / 1e6:.0f} MB, {os.cpu_count()} processors")
        rows_of_the_package(package, folder, rows, options.runs)
        if "7" in rows:
            row_of_the_mirror(package, folder, options.runs)
        if "9" in rows:
            rows_of_rpms(package, folder, options.runs, options.rpm_megabytes * 1_000_000)


if __name__ == "__main__":
    main()
