"""Servers as processes of their own, and what they use of the machine."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_SCAN_SECONDS = 1800.0
_LOOKED_AT_ALL = (
    'thread_work_total{role="traverse"} 1',
    'thread_work_pending{role="scan"} 0',
    'thread_busy{role="scan"} 0',
)

TOKEN = "t0ken"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    url: str
    pid: int

    def processor(self) -> float:
        """Processor seconds so far, of its children too once they ended."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / _TICKS

    def resident(self) -> float:
        """Megabytes of memory."""
        return self._memory("VmRSS") / 1024

    def peak(self) -> int:
        """Kibibytes of memory that it had at most."""
        return self._memory("VmHWM")

    def _memory(self, line: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.findall(rf"{line}:\s+(\d+)", status)[0])


@contextlib.contextmanager
def kernsym(store: Path, work: Path, sources: str = "") -> Iterator[Contender]:
    """Our server with its defaults, asking nobody but `sources`, as its configuration names them.
    `TOKEN` lets in who writes."""
    config = work / "kernsym.toml"
    config.write_text(f"[builtin]\nsources = false\n{sources}")
    port = _free_port()
    command = [sys.executable, "-m", "kernsym.server", "--config", str(config)]
    command += ["--store", str(store), "--offline", "--listen", f"127.0.0.1:{port}"]
    with _running("kernsym", command, port, work, KERNSYM_TOKEN=TOKEN) as one:
        _until(one, "/healthz", '"ok"', 30)
        yield one


@contextlib.contextmanager
def debuginfod(packages: Path, work: Path, *, keeps_all: bool = True) -> Iterator[Contender]:
    """elfutils' server on the packages of a folder, scanned before it is handed out; perhaps with
    room for all that it unpacks, so that warm means warm."""
    database, cache = work / "debuginfod.sqlite", work / "debuginfod.tmp"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    scanned = database.exists()
    port = _free_port()
    command = ["debuginfod", "-U", "-R", "-d", str(database), "-p", str(port), "-t0", "-g0"]
    command += ["--fdcache-mintmp=0", "--disable-source-scan"]
    if keeps_all:
        command += ["--fdcache-fds=9999", "--fdcache-mbs=20000", "--fdcache-prefetch=9999"]
        command += ["--fdcache-prefetch-fds=9999", "--fdcache-prefetch-mbs=20000"]
    command += ["--passive"] if scanned else [str(packages)]
    try:
        with _running("debuginfod", command, port, work, TMPDIR=str(cache)) as one:
            if scanned:
                _until(one, "/metrics", "ready 1", 30)
            else:
                for text in _LOOKED_AT_ALL:
                    _until(one, "/metrics", text, _SCAN_SECONDS)
            yield one
    finally:
        shutil.rmtree(cache, ignore_errors=True)


@contextlib.contextmanager
def debuginfod_of(folder: Path, work: Path) -> Iterator[Contender]:
    """elfutils' server once it has looked at every file of a folder, or again when its index from
    before lies in `work`; with its defaults, for files and packages."""
    database, temporary = work / "debuginfod.sqlite", work / "debuginfod.tmp"
    temporary.mkdir(exist_ok=True)
    port = _free_port()
    command = ["debuginfod", "-F", "-R", "-U", "-d", str(database), "-p", str(port), "-t0", "-g0"]
    with _running("debuginfod", [*command, str(folder)], port, work, TMPDIR=str(temporary)) as one:
        for text in _LOOKED_AT_ALL:
            _until(one, "/metrics", text, _SCAN_SECONDS)
        yield one


@contextlib.contextmanager
def _running(
    name: str, command: list[str], port: int, work: Path, **environment: str
) -> Iterator[Contender]:
    with (work / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **environment}
        )
        try:
            yield Contender(name=name, url=f"http://127.0.0.1:{port}", pid=process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _until(one: Contender, path: str, text: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(one.url + path) as answer:
            if text in answer.read().decode():
                return
        if time.monotonic() > end:
            sys.exit(f"{one.name} is not ready after {seconds:.0f} s")
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
