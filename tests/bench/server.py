"""The server beside elfutils' debuginfod: the same package, the same requests, taking turns.

./run bench server        on the bundled world
.venv/bin/python tests/bench/server.py --store STORE --packages FOLDER [--repeat N] [--work DIR]

STORE holds a kernel with all its modules (`kernsym --store STORE fetch --all-modules DUMP`), FOLDER
the package that it came from, which debuginfod scans (minutes for a real one; with `--work DIR` its
database is kept there for the next time).  Needs debuginfod and wrk.  Numbers are medians; each
ratio is of numbers of one run on one machine, and above 1 where kernsym is the better.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from tests.conftest import WORLD
from tests.contenders import Contender, debuginfod, kernsym
from tests.server.world_store import fill_with_world

HOT_BYTES = 112_000
MANY = 2_000
UNKNOWN = "ab" * 20
Start = Callable[[], contextlib.AbstractContextManager[Contender]]
LUA = """
local paths = {{ {paths} }}
local at = 0
init = function(arguments) at = math.random(#paths) end
request = function()
    at = at % #paths + 1
    return wrk.format("GET", paths[at])
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What wrk measured: requests a second, the 99th percentile in milliseconds, and the server's
    processor microseconds for a request."""

    rate: float
    slow: float
    cpu: float


class Bench:
    """Runs each row with both, in turn, and prints it."""

    def __init__(self, ours: Contender, theirs: Contender, repeat: int, seconds: int) -> None:
        self._both = (ours, theirs)
        self._repeat = repeat
        self._seconds = seconds

    def load(self, title: str, goal: float, path: str, script: Path | None = None) -> None:
        """A row of wrk: rate, 99th percentile and processor time."""
        runs = self._turns(lambda one: self._wrk(one, path, script))
        ours, theirs = (_median(each) for each in runs)
        _row(title, f"{ours.rate:9,.0f}/s", f"{theirs.rate:9,.0f}/s", ours.rate / theirs.rate, goal)
        _row("  p99", f"{ours.slow:8.2f} ms", f"{theirs.slow:8.2f} ms", theirs.slow / ours.slow, 1)
        _row(
            "  processor", f"{ours.cpu:8.0f} us", f"{theirs.cpu:8.0f} us", theirs.cpu / ours.cpu, 0
        )

    def throughput(self, title: str, path: str, size: int, readers: int) -> None:
        """A row of whole files: gigabytes a second, of all readers together."""

        def read(one: Contender) -> float:
            command = ["curl", "-sf", "-o", "/dev/null", one.url + path]
            began = time.perf_counter()
            with ThreadPoolExecutor(readers) as pool:
                list(pool.map(lambda _: subprocess.run(command, check=True), range(readers)))
            return readers * size / (time.perf_counter() - began) / 1e9

        ours, theirs = (statistics.median(each) for each in self._turns(read))
        _row(title, f"{ours:7.2f} GB/s", f"{theirs:7.2f} GB/s", ours / theirs, 1)

    def memory(self) -> None:
        ours, theirs = (one.resident() for one in self._both)
        _row("memory after it", f"{ours:8.0f} MB", f"{theirs:8.0f} MB", theirs / ours, 0)

    def _turns(self, run: Callable[[Contender], object]) -> tuple[list, list]:  # type: ignore[type-arg]
        runs: tuple[list[object], list[object]] = ([], [])
        for _ in range(self._repeat):
            for one, taken in zip(self._both, runs, strict=True):
                taken.append(run(one))
        return runs

    def _wrk(self, one: Contender, path: str, script: Path | None) -> Load:
        command = ["wrk", "-t2", "-c16", f"-d{self._seconds}", "--latency", one.url + path]
        before = one.processor()
        out = subprocess.run(
            command + (["-s", str(script)] if script else []),
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        used = one.processor() - before
        if (script or UNKNOWN not in path) and "Non-2xx" in out:
            sys.exit(f"{one.name} refuses {path}:\n{out}")
        count, unit = re.findall(r"99%\s+([\d.]+)(us|ms|s)", out)[0]
        requests = int(re.findall(r"(\d+) requests in", out)[0])
        return Load(
            rate=float(re.findall(r"Requests/sec:\s+([\d.]+)", out)[0]),
            slow=float(count) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
            cpu=used * 1e6 / max(requests, 1),
        )


def _median(loads: list[Load]) -> Load:
    return Load(
        rate=statistics.median(load.rate for load in loads),
        slow=statistics.median(load.slow for load in loads),
        cpu=statistics.median(load.cpu for load in loads),
    )


def _row(title: str, ours: str, theirs: str, ratio: float, goal: float) -> None:
    wanted = f"{goal:5.1f} x" if goal else ""
    print(f"  {title:34} {ours:>13} {theirs:>13} {ratio:8.2f} x   {wanted}", flush=True)


def first_time(title: str, start: Sequence[Start], path: str, goal: float) -> None:
    """A row of one request to servers that were just started: what it costs their processors."""
    taken = []
    for begin in start:
        with begin() as one:
            before, began = one.processor(), time.perf_counter()
            with (
                contextlib.suppress(urllib.error.HTTPError),
                urllib.request.urlopen(one.url + path) as answer,
            ):
                answer.read()
            taken.append((one.processor() - before, time.perf_counter() - began))
    (ours, quick), (theirs, slow) = taken
    _row(title, f"{quick * 1000:8.0f} ms", f"{slow * 1000:8.0f} ms", slow / quick, goal)
    _row(
        "  processor",
        f"{ours * 1000:8.0f} ms",
        f"{theirs * 1000:8.0f} ms",
        theirs / max(ours, 0.01),
        goal,
    )


def measure(options: argparse.Namespace, store: Path, packages: Path, work: Path) -> None:
    bundle = held(store)
    modules = [file for file in bundle.files if file.role is FileRole.MODULE and file.build_id]
    modules.sort(key=lambda file: abs(file.size - HOT_BYTES))
    many = work / "many.lua"
    paths = ", ".join(f'"{address(file)}"' for file in modules[:MANY])
    many.write_text(LUA.format(paths=paths))
    vmlinux = next(filter(None, [bundle.first(FileRole.VMLINUX)]))
    begin = [lambda: kernsym(store, work), lambda: debuginfod(packages, work)]
    print(f"  {'':34} {'kernsym':>13} {'debuginfod':>13} {'ratio':>10}      goal")
    if not options.warm_only:
        for file, name in ((modules[0], "module"), (vmlinux, "vmlinux")):
            path = f"/buildid/{file.build_id}/section/.debug_line"
            first_time(f"section of {name}, first time", begin, path, 50)
    with begin[0]() as ours, begin[1]() as theirs:
        for one in (ours, theirs):  # debuginfod keeps what it unpacks on its way to the file
            for file in (vmlinux, *modules[:MANY]):
                urllib.request.urlopen(one.url + address(file)).read(1)
        bench = Bench(ours, theirs, options.repeat, options.seconds)
        bench.load(f"module of {modules[0].size // 1000} kB", 1.5, address(modules[0]))
        bench.load(f"{len(modules[:MANY])} modules", 0.7, "/", many)
        bench.load("404", 2, f"/buildid/{UNKNOWN}/debuginfo")
        bench.throughput("vmlinux, one reader", address(vmlinux), vmlinux.size, 1)
        bench.throughput("vmlinux, eight readers", address(vmlinux), vmlinux.size, 8)
        bench.memory()


def address(file: BundleFile) -> str:
    return f"/buildid/{file.build_id}/debuginfo"


def held(root: Path) -> Bundle:
    store = Store(root)
    try:
        return max(store.bundles(), key=lambda bundle: len(bundle.files))
    finally:
        store.close()


@contextlib.contextmanager
def working_in(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--store", type=Path)
    parser.add_argument("--packages", type=Path)
    parser.add_argument("--work", type=Path, help="keeps debuginfod's database")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each load")
    parser.add_argument(
        "--warm-only", action="store_true", help="no first times: they take minutes"
    )
    options = parser.parse_args()
    if bool(options.store) != bool(options.packages):
        parser.error("--store and --packages belong together")
    for program in ("debuginfod", "wrk", "curl"):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing")
    with working_in(options.work) as work:
        store, packages = options.store, options.packages
        if store is None:
            store, packages = work / "store", WORLD / "repo"
            if not store.exists():
                fill_with_world(store, work)
        measure(options, store, packages, work)


if __name__ == "__main__":
    main()
