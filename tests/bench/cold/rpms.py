"""Row 9: all files out of RPMs, one for each way of packing, made of the .deb's files."""

from __future__ import annotations

import shlex
import shutil

from tests import kernel_rpms
from tests.bench.cold.inputs import DebPackage
from tests.bench.cold.table import Table, Way, ratio
from tests.bench.cold.unpacking import kernsym

ROWS = {"9"}


def measure(table: Table, package: DebPackage, most_bytes: int) -> None:
    """The RPMs hold as many of the files as `most_bytes` allow, vmlinux among them."""
    if shutil.which("rpmbuild") is None:
        print("\n9. passed over: rpmbuild is not installed")
        table.at_most("9", "all files of RPMs: wall beside bsdtar", None, 1.2, "x")
        return
    tree = table.folder / "tree"
    kernel_rpms.unpack_some(package.path, tree, most_bytes)
    built = kernel_rpms.build(tree, table.folder)
    shutil.rmtree(tree)
    for title, rpm in built.items():
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
