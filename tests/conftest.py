"""What many tests share: the bundled world, its mirror, and the `kernsym` command on them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings

from kernsym.client.dumps import read_facts
from kernsym.distros import identify
from tests.upstream import UpstreamServer

# Whatever starts the tests in the background makes them inherit an ignored SIGINT, and they pass
# it on; the programs under test shall meet it as at a terminal.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long one example takes says more of the machine than of us.
settings.register_profile("kernsym", deadline=None)
settings.load_profile("kernsym")

WORLD = Path(__file__).parent / "worlds/debian12"
FACTS = read_facts(WORLD / "vmcore")
BANNER = FACTS.fingerprint.banner or ""
KERNEL = next(filter(None, [identify(FACTS.fingerprint).kernel]))
DEBUG_PACKAGE = f"/pool/main/l/linux/linux-image-{KERNEL.uname}-dbg_{KERNEL.version}_amd64.deb"
SOURCE_PACKAGE = f"/pool/main/l/linux/linux-source-6.1_{KERNEL.version}_all.deb"


@pytest.fixture
def mirror() -> Iterator[UpstreamServer]:
    """The world's package repository, served by HTTP."""
    with UpstreamServer(WORLD / "repo") as server:
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernsym:
    """The command on a store of its own; its only source of packages is `mirror`."""

    home: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Path:
        return self.home / "store"

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """The command as a running process in a process group of its own, with pipes."""
        return subprocess.Popen(
            [sys.executable, "-m", "kernsym.client", *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.home,
            env={**os.environ, **self.environment},
            start_new_session=True,
        )

    def __call__(
        self, *arguments: str | Path, text: str = "", status: int | None = 0, seconds: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """Run the command to its end; `status` None: any."""
        process = self.start(*arguments)
        try:
            out, err = process.communicate(text, timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        assert status in (None, process.returncode), f"exit {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def write_config(path: Path, url: str) -> Path:
    """A configuration whose only source is the world's repository at `url`."""
    path.write_text(world_source(url))
    return path


def world_source(url: str) -> str:
    """The part of a configuration that names the world's repository, and nothing else."""
    return f"""
[builtin]
sources = false
[[source]]
distro = "debian"
kind = "apt"
url = "{url}"
suite = "bookworm"
signed_by = ["{WORLD / "archive-key.asc"}"]
"""


@pytest.fixture
def kernsym(tmp_path: Path, mirror: UpstreamServer) -> Kernsym:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "KERNSYM_STORE": str(home / "store"),
        "KERNSYM_CONFIG": str(write_config(home / "kernsym.toml", mirror.url)),
    }
    return Kernsym(home=home, environment=environment)
