"""Rows 4, 5 and 6, and `/healthz` during row 1: what clients of a server wait for, beside elfutils'
debuginfod on the same packages.

Both servers have looked through the packages before, and hold none of their files.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import shutil
import statistics
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from tests.bench.cold.inputs import BuildIds, KernelPackage
from tests.bench.cold.table import Table
from tests.contenders import TOKEN, Contender, debuginfod, kernsym
from tests.processes import wait_for

ROWS = {"4", "5", "6", "healthz"}
_SOURCE = """
[[source]]
distro = "{distro}"
kind = "directory"
url = "{folder}"
signature = "skip"
"""
_LOOKED_THROUGH = "are known"  # as the server logs it
_PAUSE = 0.01  # seconds between two questions to /healthz


class Contest:
    """Our server and, where it is installed, debuginfod on the package that lies in `folder`, one
    of a distribution; with what they know of it in `work`."""

    def __init__(self, distro: str, folder: Path, work: Path) -> None:
        self._folder = folder
        self._work = work
        self._store = work / "store"
        self._fresh = work / "looked-through"
        self._sources = _SOURCE.format(distro=distro, folder=folder.as_uri())
        work.mkdir(parents=True, exist_ok=True)
        if not self._fresh.exists():
            self._look_through()

    @contextlib.contextmanager
    def ours(self) -> Iterator[Contender]:
        """With an empty store."""
        shutil.rmtree(self._store, ignore_errors=True)
        shutil.copytree(self._fresh, self._store)
        with kernsym(self._store, self._work, self._sources) as server:
            yield server
        shutil.rmtree(self._store)

    def theirs(self) -> AbstractContextManager[Contender]:
        """As it comes, with nothing unpacked."""
        return debuginfod(self._folder, self._work, keeps_all=False)

    def servers(self) -> dict[str, Callable[[], AbstractContextManager[Contender]]]:
        """Those that are installed, by name."""
        there = shutil.which("debuginfod") is not None
        return {"kernsym": self.ours} | ({"debuginfod": self.theirs} if there else {})

    def _look_through(self) -> None:
        shutil.rmtree(self._store, ignore_errors=True)
        log = self._work / "kernsym.log"
        with kernsym(self._store, self._work, self._sources):
            wait_for(lambda: _LOOKED_THROUGH in log.read_text(), 1800)
        self._store.rename(self._fresh)


def measure(
    table: Table, package: KernelPackage, ids: BuildIds, contest: Contest, rows: set[str]
) -> None:
    """Rows 4 and 6 on a .deb, where vmlinux comes first."""
    if "6" in rows:
        waits: dict[str, list[float]] = {}
        for _ in range(table.runs):
            for name, start in contest.servers().items():
                with start() as server:
                    first, _ = _fetch(server, ids.vmlinux)
                    waits.setdefault(name, []).append(first)
                    _note_peak(table, name, server, "6. first byte of vmlinux")
        took = _show("6. first byte of a vmlinux that is unknown", waits)
        table.at_most("6", "seconds to the first byte of vmlinux", took["kernsym"], 1, "s")
        table.at_least("6", "times as quick as debuginfod", _quicker(took), 1, "x")
    if "4" in rows:
        took = _modules(table, "4. a module that nobody asked for yet (.deb)", ids, contest)
        table.at_most("4", "seconds for a module of the .deb", took["kernsym"], 0.4, "s")
        table.at_least(
            "4", "a module of the .deb: times as quick as debuginfod", _quicker(took), 50, "x"
        )
    if "healthz" in rows:
        _healthz(table, package, contest)


def measure_rpm(table: Table, title: str, ids: BuildIds, contest: Contest) -> None:
    """Row 5 on one RPM."""
    took = _modules(table, f"5. a second module of the RPM ({title})", ids, contest)
    what = f"a second module of the RPM ({title}): times as quick as debuginfod"
    table.at_least("5", what, _quicker(took), 20, "x")


def _modules(table: Table, title: str, ids: BuildIds, contest: Contest) -> dict[str, float]:
    """The median wait for one module after the other, once vmlinux and another have come."""
    waits: dict[str, list[float]] = {}
    seen: dict[str, str] = {}
    before, *others = ids.modules
    for name, start in contest.servers().items():
        with start() as server:
            for build_id in (ids.vmlinux, before):
                _fetch(server, build_id)
            for build_id in others[: table.runs]:
                began = time.perf_counter()
                _, digest = _fetch(server, build_id)
                waits.setdefault(name, []).append(time.perf_counter() - began)
                if seen.setdefault(build_id, digest) != digest:
                    raise ValueError(f"{name} gives other bytes for {build_id}")
            _note_peak(table, name, server, title)
    return _show(title, waits)


def _healthz(table: Table, package: KernelPackage, contest: Contest) -> None:
    """How long the server lets others wait while it unpacks all files."""
    with contest.ours() as server:
        job = _ask_for_all(server, package.path.name)
        over = threading.Event()
        waits: list[float] = []
        asking = threading.Thread(target=_ask_healthz, args=(server, over, waits))
        asking.start()
        try:
            wait_for(lambda: _has_ended(server, job), 1800)
        finally:
            over.set()
            asking.join()
        _note_peak(table, "kernsym", server, "1. all files of the .deb, by the server")
    slow = statistics.quantiles(waits, n=100)[98] * 1000
    median, most = statistics.median(waits) * 1000, max(waits) * 1000
    print(f"\n1. /healthz meanwhile, {len(waits)} times: {median:.1f} ms, at most {most:.1f} ms")
    table.at_most("1", "/healthz while all files are unpacked, p99", slow, 20, "ms")


def _fetch(server: Contender, build_id: str) -> tuple[float, str]:
    """Seconds to the first byte of a file, and the sha256 of all of it."""
    began = time.perf_counter()
    digest = hashlib.sha256()
    with urllib.request.urlopen(f"{server.url}/buildid/{build_id}/debuginfo") as answer:
        digest.update(answer.read(1))
        first = time.perf_counter() - began
        while block := answer.read(1 << 20):
            digest.update(block)
    return first, digest.hexdigest()


def _ask_for_all(server: Contender, package: str) -> str:
    """Has all modules of a package brought; the id of the job."""
    wanted = {"fingerprint": {"package": package}, "all_modules": True}
    request = urllib.request.Request(
        f"{server.url}/api/v1/symbols",
        json.dumps(wanted).encode(),
        {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return str(json.load(answer)["id"])


def _has_ended(server: Contender, job: str) -> bool:
    with urllib.request.urlopen(f"{server.url}/api/v1/jobs/{job}") as answer:
        state = json.load(answer)["state"]
    if state in ("failed", "cancelled"):
        raise ValueError(f"the job {state}")
    return bool(state == "done")


def _ask_healthz(server: Contender, over: threading.Event, waits: list[float]) -> None:
    """On one connection, until it is over."""
    place = urlsplit(server.url)
    with contextlib.closing(http.client.HTTPConnection(place.hostname or "", place.port)) as asked:
        while not over.wait(_PAUSE):
            began = time.perf_counter()
            asked.request("GET", "/healthz")
            asked.getresponse().read()
            waits.append(time.perf_counter() - began)


def _show(title: str, waits: dict[str, list[float]]) -> dict[str, float]:
    """The medians, printed."""
    took = {name: statistics.median(each) for name, each in waits.items()}
    print(f"\n{title}, median of {len(waits['kernsym'])}")
    for name, seconds in took.items():
        print(f"  {name:34} {seconds:6.2f} s {seconds / took['kernsym']:6.2f} x")
    return took


def _quicker(took: dict[str, float]) -> float | None:
    return took["debuginfod"] / took["kernsym"] if "debuginfod" in took else None


def _note_peak(table: Table, name: str, server: Contender, what: str) -> None:
    if name == "kernsym":
        table.peak(server.peak(), what)
