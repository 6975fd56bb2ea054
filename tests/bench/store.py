"""How the server does with a large store: start, look-ups and memory, by the number of kernels.

    python tests/bench/store.py [--kernels 10,100,1000] [--modules 4000] [--folder DIRECTORY]

Makes a store of manifests and its index (1.4 GB for 1,000 kernels; without the modules themselves)
and starts the real server on it: seconds until it is ready, microseconds of look-ups of
build IDs at random, in process and over HTTP, and the server's memory after them.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.bundle import encode
from kernsym.cache.manifests import stamp_of
from tests.live_server import KERNEL, LiveServer, bundle_of, live_server
from tests.processes import wait_for

LOOKUPS = 5_000
REQUESTS = 3_000


def build_id(kernel: int, number: int) -> str:
    """Of vmlinux (0) or a module of a kernel: spread as digests are, and known again."""
    return hashlib.blake2b(b"%d/%d" % (kernel, number), digest_size=20).hexdigest()


def fill(root: Path, kernels: Iterable[int], modules: int) -> None:
    """Publish kernels, as `Store.publish` does but for the links by build ID."""
    store, pattern = Store(root), bundle_of(modules)
    try:
        for kernel in kernels:
            bundle = renumbered(pattern, kernel)
            folder = store.folder(bundle.kernel)
            vmlinux = next(file for file in bundle.files if file.role is FileRole.VMLINUX)
            (folder / vmlinux.path).parent.mkdir(parents=True)
            (folder / vmlinux.path).write_bytes(bytes(vmlinux.size))
            (folder / "manifest.json").write_bytes(encode(bundle))
            store.files.put(bundle, stamp_of(folder / "manifest.json"))
    finally:
        store.close()


def renumbered(bundle: Bundle, kernel: int) -> Bundle:
    """The same of another kernel."""
    files = tuple(
        replace(file, build_id=build_id(kernel, number)) for number, file in enumerate(bundle.files)
    )
    banner = bundle.verification.banner.replace("6.1.76-1", f"6.1.76-{kernel}")
    return replace(
        bundle,
        kernel=replace(KERNEL, version=f"6.1.76-{kernel}"),
        verification=replace(bundle.verification, banner=banner, build_id=files[0].build_id),
        files=files,
    )


def each_in_microseconds(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append((time.perf_counter() - begin) * 1e6)
    return taken


def in_process(root: Path, kernels: int, modules: int) -> list[float]:
    chance = random.Random(1)
    store = Store(root)

    def look_up() -> None:
        wanted = build_id(chance.randrange(kernels), chance.randrange(modules))
        assert store.files.find(wanted) is not None

    try:
        return each_in_microseconds(look_up, LOOKUPS)
    finally:
        store.close()


def over_http(server: LiveServer, kernels: int) -> list[float]:
    chance = random.Random(1)
    connection = http.client.HTTPConnection(*server.address)

    def look_up() -> None:
        connection.request("HEAD", f"/buildid/{build_id(chance.randrange(kernels), 0)}/debuginfo")
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200

    try:
        return each_in_microseconds(look_up, REQUESTS)
    finally:
        connection.close()


def memory_mb(server: LiveServer) -> float:
    pages = Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1e6


def measure(folder: Path, kernels: int, modules: int) -> None:
    looked_up = in_process(folder / "store", kernels, modules)
    begin = time.perf_counter()
    with live_server(folder) as server:
        wait_for(lambda: server.ask("/readyz").status == 200)
        ready = time.perf_counter() - begin
        asked = over_http(server, kernels)
        memory = memory_mb(server)
    for name, taken in (("look-up", looked_up), ("HEAD", asked)):
        middle, high = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
        print(f"{kernels:6d} kernels  {name:8s} median {middle:7.0f} µs  99 % {high:7.0f} µs")
    print(f"{kernels:6d} kernels  ready after {ready:.2f} s, {memory:.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", default="10,100,1000")
    parser.add_argument("--modules", type=int, default=4000)
    parser.add_argument("--folder", type=Path, help="where to make the store [a temporary folder]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        there = 0
        for kernels in sorted(map(int, arguments.kernels.split(","))):
            fill(Path(name) / "store", range(there, kernels), arguments.modules)
            there = kernels
            measure(Path(name), kernels, arguments.modules)


if __name__ == "__main__":
    main()
