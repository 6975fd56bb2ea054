"""elfutils' own debuginfod and debuginfod-find, for tests of those who talk to them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.processes import wait_for

PROGRAM = Path(shutil.which("true") or "/bin/true")  # an ELF file with a build ID


@dataclass(frozen=True, slots=True, kw_only=True)
class Debuginfod:
    """A running debuginfod; it writes a line for each request into `log`."""

    url: str
    log: Path

    def logged(self, text: str) -> bool:
        return text in self.log.read_text(errors="replace")


@contextlib.contextmanager
def debuginfod(folder: Path, files: Path, *, urls: str = "", port: int = 0) -> Iterator[Debuginfod]:
    """A server of the ELF files below `files`; `urls`: the servers that it asks itself."""
    port = port or free_port()
    log = folder / f"debuginfod-{port}.log"
    environment = {
        **os.environ,
        "DEBUGINFOD_URLS": urls,
        "DEBUGINFOD_CACHE_PATH": str(folder / f"debuginfod-{port}"),
    }
    command = ["debuginfod", "-v", "-v", "-F", "-d", ":memory:", "-p", str(port), "-t0", "-g0"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, str(files)], stdout=file, stderr=file, env=environment, cwd=folder
        )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: process.poll() is not None or _has_scanned(url))
        assert process.poll() is None, log.read_text(errors="replace")
        yield Debuginfod(url=url, log=log)
    finally:
        process.kill()
        process.wait()


def find(url: str, cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """debuginfod-find at one server, with a cache of its own; it prints a path."""
    return subprocess.run(
        ["debuginfod-find", *words],
        env={**os.environ, "DEBUGINFOD_URLS": url, "DEBUGINFOD_CACHE_PATH": str(cache)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def build_id_of(file: Path) -> str:
    shown = subprocess.run(["eu-readelf", "-n", file], capture_output=True, text=True, check=True)
    return next(line.split()[-1] for line in shown.stdout.splitlines() if "Build ID" in line)


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def _has_scanned(url: str) -> bool:
    with (
        contextlib.suppress(OSError),
        urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer,
    ):
        lines = answer.read().decode().splitlines()
        return {
            'thread_work_total{role="traverse"} 1',
            'thread_work_pending{role="scan"} 0',
            'thread_busy{role="scan"} 0',
        } <= set(lines)
    return False
