"""The archive's current kernel, for real: booted in QEMU, dumped, and opened from the archive.

Needs Debian with its apt sources, QEMU and busybox; downloads about 1.1 GB.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.conftest import Kernsym
from tests.processes import embedded_servers
from tests.story import assert_everything_is_there

pytestmark = pytest.mark.archive

WORLDS = Path(__file__).parent / "worlds"
MODULES = ("qemu_fw_cfg", "loop", "configfs", "overlay")
COMMANDS = "bt\nmod\ngdb list panic\ngdb list ovl_fill_super\nquit\n"
MOST_SERVER_BYTES = 250 << 20


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Memory of a guest that panicked with the kernel that Debian installs today."""
    work = tmp_path_factory.mktemp("guest")
    image = work / "image"
    release = current_release()
    # pytest's folders are closed to apt's own user, so apt is told not to change to it.
    apt = ("apt-get", "-qq", "-o", "APT::Sandbox::User=root")
    run(*apt, "download", f"linux-image-{release}", cwd=work)
    run("dpkg-deb", "-x", str(next(work.glob("linux-image-*.deb"))), str(image))
    core = work / "memory.elf"
    command = [sys.executable, str(WORLDS / "dump_guest.py"), "--megabytes", "256"]
    run(*command, str(image / f"boot/vmlinuz-{release}"), str(make_initrd(work, image)), str(core))
    return core


def current_release() -> str:
    """The release of the kernel that linux-image-amd64 brings."""
    listed = subprocess.run(
        ["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=True
    )
    found = re.search(r"Depends: linux-image-(\S+)", listed.stdout)
    assert found, "apt does not know linux-image-amd64: run apt-get update on a Debian machine"
    return found[1]


def make_initrd(work: Path, image: Path) -> Path:
    """A root file system for the guest: busybox, the world's init, and some modules."""
    root = work / "initrd"
    (root / "bin").mkdir(parents=True)
    (root / "lib").mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    shutil.copy(WORLDS / "guest_init", root / "init")
    (root / "init").chmod(0o755)
    for name in MODULES:
        module = next(image.glob(f"**/{name}.ko*"))
        content = module.read_bytes()
        if module.suffix == ".xz":
            content = lzma.decompress(content)
        (root / f"lib/{name}.ko").write_bytes(content)
    names = subprocess.run(["find", "."], cwd=root, capture_output=True, check=True).stdout
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"],
        cwd=root,
        input=names,
        capture_output=True,
        check=True,
    )
    initrd = work / "initrd.cpio"
    initrd.write_bytes(archive.stdout)
    return initrd


def run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True, timeout=300)


class PeakWatch(threading.Thread):
    """Watches how much memory the embedded server of a test has at the most."""

    def __init__(self, kernsym: Kernsym) -> None:
        super().__init__(daemon=True)
        self._kernsym = kernsym
        self._over = threading.Event()
        self.peak = 0

    def run(self) -> None:
        while not self._over.wait(0.2):
            for server in embedded_servers(self._kernsym):
                status = Path(f"/proc/{server}/status")
                try:
                    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                except OSError:
                    continue
                self.peak = max(self.peak, int(found[1]) * 1024 if found else 0)

    def finish(self) -> int:
        self._over.set()
        self.join()
        return self.peak


def test_the_archive_opens_todays_kernel(kernsym: Kernsym, dump: Path) -> None:
    del kernsym.environment["KERNSYM_CONFIG"]  # as on a fresh machine: nothing is configured
    watch = PeakWatch(kernsym)
    watch.start()
    began = time.monotonic()
    first = kernsym("crash", dump, text=COMMANDS, seconds=1200)
    print(
        f"cold: {time.monotonic() - began:.0f} s, peak {watch.finish() >> 20} MiB\n{first.stderr}"
    )
    assert_everything_is_there(first.stdout)
    assert 0 < watch.peak <= MOST_SERVER_BYTES
    assert re.search(
        r"(?m)^package +linux-image-\S+-dbg_\S+  \S+ \S+  signed by [0-9A-F]{40}", first.stderr
    )

    second = kernsym("--offline", "crash", dump, text=COMMANDS)
    assert_everything_is_there(second.stdout)
    vmlinux = Path(kernsym("--offline", "fetch", dump).stdout.strip())
    listed = subprocess.run(
        ["gdb", "-nx", "-batch", "-ex", "info line schedule", str(vmlinux)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": "/"},
    )
    assert "kernel/sched/core.c" in listed.stdout
