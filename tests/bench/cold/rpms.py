"""Rows 5, in part, and 9: files out of RPMs, one for each way of packing, made of the .deb's."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from tests import kernel_rpms
from tests.bench.cold.inputs import KernelPackage
from tests.bench.cold.table import Table, Way, ratio
from tests.bench.cold.unpacking import kernsym

ROWS = {"9", "5-index"}


def made(package: KernelPackage, folder: Path, most_bytes: int) -> dict[str, Path]:
    """The RPMs by how they are packed, with as many of the package's files as `most_bytes` allow,
    vmlinux among them; none where rpmbuild is not installed."""
    if shutil.which("rpmbuild") is None:
        print("\n5, 9: passed over, rpmbuild is not installed")
        return {}
    if not folder.exists():
        folder.mkdir(parents=True)
        tree = folder / "tree"
        kernel_rpms.unpack_some(package.path, tree, most_bytes)
        kernel_rpms.build(tree, folder)
        shutil.rmtree(tree)
    return kernel_rpms.built(folder)


def measure(table: Table, title: str, rpm: Path) -> None:
    """All files of one RPM."""
    quoted = shlex.quote(str(rpm))
    cpio = f"rpm2cpio {quoted} | (cd {{into}} && cpio -idm --quiet)"
    ways = [
        kernsym(rpm, "all"),
        Way(title="bsdtar -x", command=f"bsdtar -x -f {quoted} -C {{into}}", needs="bsdtar"),
        Way(title="rpm2cpio | cpio", command=cpio, needs="cpio"),
    ]
    took = table.compare(f"9. all files of the RPM ({title})", ways)
    for other, goal in (("bsdtar -x", 1.2), ("rpm2cpio | cpio", 1)):
        what = f"all files of the RPM ({title}): wall beside {other}"
        table.at_most("9", what, ratio(took, "kernsym", other), goal, "x")


def measure_index(table: Table, title: str, rpm: Path) -> None:
    """What it costs the first pass that it leaves an index, or the archive packed again."""
    ways = [
        kernsym(rpm, "vmlinux", "--index", "INTO/index", title="with an index"),
        kernsym(rpm, "vmlinux", title="without"),
    ]
    took = table.compare(f"5. the first file of the RPM ({title})", ways)
    for of in ("wall", "cpu"):
        cost = ratio(took, "with an index", "without", of)
        table.at_most("5", f"leaving an index of the RPM ({title}): {of}", cost, 1.15, "x")
