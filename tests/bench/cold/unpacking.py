"""Rows 1, 2, 3 and 7: files out of a .deb, on disk or on its way."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from tests.bench.cold.inputs import KernelPackage
from tests.bench.cold.table import Table, Way, ratio
from tests.upstream import UpstreamServer

ROWS = {"1", "2", "3", "7"}
_RATE = 40e6  # bytes per second, of row 7's mirror
_UNPACKER = Path(__file__).with_name("unpacker.py")


def measure(table: Table, package: KernelPackage, rows: set[str]) -> None:
    if "1" in rows:
        _all_files(table, package)
    names = ["vmlinux", *package.loaded]
    if "2" in rows:
        took = _some(table, "2. vmlinux only", package, names[:1])
        table.at_most("2", "vmlinux: wall beside dpkg-deb | tar", took, 1, "x")
    if "3" in rows:
        took = _some(table, f"3. vmlinux and {len(names) - 1} modules", package, names)
        table.at_most("3", "vmlinux and modules: wall beside dpkg-deb | tar", took, 0.25, "x")
    if "7" in rows:
        _download_and_unpack(table, package)


def kernsym(package: Path, names: str, *options: str, title: str = "kernsym") -> Way:
    """Unpacks `names` of a package, as unpacker.py has it; INTO in its options is the folder."""
    words = [sys.executable, str(_UNPACKER), str(package), "INTO", names, *options]
    command = shlex.join(words).replace("{", "{{").replace("}", "}}").replace("INTO", "{into}")
    return Way(title=title, command=command, own=True)


def _all_files(table: Table, package: KernelPackage) -> None:
    quoted = shlex.quote(str(package.path))
    ways = [
        kernsym(package.path, "all"),
        Way(title="dpkg-deb -x", command=f"dpkg-deb -x {quoted} {{into}}"),
    ]
    members = subprocess.run(["ar", "t", str(package.path)], check=True, capture_output=True).stdout
    if b"data.tar.xz" in members:
        # ar, because dpkg-deb --fsys-tarfile would unpack it as well
        xz = f"ar p {quoted} data.tar.xz | xz -T{{threads}} -dc >/dev/null"
        for threads in (1, 2):
            command = xz.format(threads=threads)
            ways.append(Way(title=f"limit: xz -T{threads} -dc", command=command))
    took = table.compare("1. all files of the .deb", ways)
    for other, of, goal in (
        ("limit: xz -T1 -dc", "cpu", 1.25),
        ("dpkg-deb -x", "wall", 0.85),
        ("limit: xz -T2 -dc", "wall", 1.25),
    ):
        table.at_most(
            "1", f"all files: {of} beside {other}", ratio(took, "kernsym", other, of), goal, "x"
        )


def _some(table: Table, title: str, package: KernelPackage, names: list[str]) -> float | None:
    """The files of some names; wall beside what people type, who would else read on to the end."""
    paths = [package.vmlinux, *(package.modules[name] for name in names[1:])]
    tar = (
        f"dpkg-deb --fsys-tarfile {shlex.quote(str(package.path))} 2>/dev/null"
        f" | tar x -C {{into}} --occurrence=1 {shlex.join(f'./{path}' for path in paths)}; true"
    )
    ways = [kernsym(package.path, ",".join(names)), Way(title="dpkg-deb | tar", command=tar)]
    return ratio(table.compare(title, ways), "kernsym", "dpkg-deb | tar")


def _download_and_unpack(table: Table, package: KernelPackage) -> None:
    copy = table.folder / "downloaded.deb"
    with UpstreamServer(package.path.parent) as server:
        server.rate = _RATE
        url = f"{server.url}/{package.path.name}"
        ways = [
            kernsym(copy, "all", "--url", url),
            kernsym(copy, "none", "--url", url, title="download alone"),
            kernsym(package.path, "all", title="unpack alone"),
        ]
        took = table.compare(
            f"7. download at {_RATE / 1e6:.0f} MB/s and unpack together",
            ways,
            before=lambda: copy.unlink(missing_ok=True),
        )
    copy.unlink(missing_ok=True)
    longer = max(took["download alone"].wall, took["unpack alone"].wall)
    what = "download and unpack together, beside the longer of the two"
    table.at_most("7", what, took["kernsym"].wall / longer, 1.05, "x")
