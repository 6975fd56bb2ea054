"""Row 8: what comes over the network for vmlinux and the loaded modules, when the rest of their
package stays on its mirror."""

from __future__ import annotations

import itertools
import shutil

from tests.bench.cold.inputs import KernelPackage
from tests.bench.cold.table import Table
from tests.bench.cold.unpacking import kernsym
from tests.upstream import UpstreamServer

ROWS = {"8"}
_RATE = 40e6  # bytes per second, of all connections together
_MOST_MEGABYTES = 250


def measure(table: Table, package: KernelPackage) -> None:
    folder = table.folder / "in-part"
    names = ",".join(["vmlinux", *package.loaded])
    came: list[tuple[int, int]] = []
    with UpstreamServer(package.path.parent) as server:
        server.total_rate = _RATE

        def begin() -> None:
            came.append((server.bytes_sent, server.hits.total()))
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()

        url = f"{server.url}/{package.path.name}"
        copy = folder / package.path.name
        ways = [
            kernsym(copy, names, "--url", url, "--in-part", title="kernsym --partial"),
            kernsym(copy, names, "--url", url, title="kernsym, the whole package"),
        ]
        modules = len(package.loaded)
        title = f"8. vmlinux and {modules} modules from a mirror at {_RATE / 1e6:.0f} MB/s"
        table.compare(title, ways, before=begin)
        begin()
    shutil.rmtree(folder)
    parts = _between(came)[::2]
    most = max(size for size, _ in parts) / 1e6
    requests = max(count for _, count in parts)
    print(f"  came: {most:.0f} of {package.path.stat().st_size / 1e6:.0f} MB, {requests} requests")
    table.at_most("8", "downloaded for vmlinux and modules", most, _MOST_MEGABYTES, "MB")


def _between(counts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """How much each run added, of bytes and requests."""
    return [
        (after[0] - before[0], after[1] - before[1]) for before, after in itertools.pairwise(counts)
    ]
