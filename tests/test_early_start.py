"""crash starts as soon as vmlinux is checked; its first command waits until all is published."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import DEBUG_PACKAGE, WORLD, Kernsym, world_source
from tests.processes import wait_for
from tests.story import COMMANDS, VMCORE
from tests.upstream import UpstreamServer


@pytest.fixture
def held_back(mirror: UpstreamServer) -> Iterator[threading.Event]:
    """What lets the end of the package come."""
    mirror.ending = threading.Event()
    yield mirror.ending
    mirror.ending.set()


def crashes(kernsym: Kernsym) -> list[int]:
    """The process ids of crash on the kernels of the store."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"/crash") and any(str(kernsym.store).encode() in w for w in words):
            found.append(int(path.parent.name))
    return found


def start(kernsym: Kernsym) -> subprocess.Popen[str]:
    """`kernsym crash`, at the moment when it has started crash."""
    process = kernsym.start("crash", "--no-sources", VMCORE)
    wait_for(lambda: crashes(kernsym), 60)
    return process


def test_crash_starts_while_the_package_comes(kernsym: Kernsym, held_back: threading.Event) -> None:
    process = start(kernsym)
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json")), "nothing is published"
    held_back.set()
    out, err = process.communicate(COMMANDS.replace("gdb list", "whatis"), timeout=120)
    assert process.returncode == 0, err
    assert "4 loaded, 4 with symbols" in err
    assert "void panic(const char *, ...)" in out
    assert out.count("overlay.ko") == 1


def test_crash_starts_again_when_its_vmlinux_is_refused_in_the_end(
    kernsym: Kernsym, mirror: UpstreamServer, held_back: threading.Event, tmp_path: Path
) -> None:
    """The first source has a package whose last bytes are wrong, the second one a good copy."""
    shutil.copytree(WORLD / "repo", tmp_path / "repo")
    package = tmp_path / "repo" / DEBUG_PACKAGE.lstrip("/")
    content = bytearray(package.read_bytes())
    content[-100] ^= 1
    package.write_bytes(content)
    with UpstreamServer(WORLD / "repo") as good:
        mirror.root = (tmp_path / "repo").resolve()
        config = Path(kernsym.environment["KERNSYM_CONFIG"])
        second = world_source(good.url)
        config.write_text(config.read_text() + second[second.index("[[source]]") :])
        process = start(kernsym)
        held_back.set()
        out, err = process.communicate(COMMANDS.replace("gdb list", "whatis"), timeout=120)
    assert process.returncode == 0, err
    assert "crash is started again" in err
    assert "void panic(const char *, ...)" in out
    assert out.count("overlay.ko") == 1


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_crash_does_not_go_on_alone(
    kernsym: Kernsym, held_back: threading.Event, number: int, status: int
) -> None:
    process = start(kernsym)
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.kill()
    out, err = process.communicate("bt\n", timeout=60)
    assert process.returncode == status, err
    assert "panic" not in out
    wait_for(lambda: not crashes(kernsym), 60)
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))
