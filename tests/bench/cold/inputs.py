"""The package that all rows are about: where it comes from, and what is in it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import normalise_module

# What a virtual machine has loaded, as far as the package has it.
_LOADED = [
    "ext4",
    "mbcache",
    "jbd2",
    "xfs",
    "overlay",
    "loop",
    "dm_mod",
    "virtio_net",
    "virtio_blk",
]
_LOADED += ["virtio_scsi", "sd_mod", "sr_mod", "ahci", "libata", "e1000e", "kvm", "kvm_intel"]
_LOADED += ["nf_conntrack", "nfs", "sunrpc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DebPackage:
    """A Debian kernel's -dbg package; `vmlinux` and `modules` (by name) are paths in it."""

    path: Path
    vmlinux: str
    modules: dict[str, str]

    @property
    def loaded(self) -> list[str]:
        """Names of some twenty modules."""
        return [name for name in _LOADED if name in self.modules] or sorted(self.modules)[:20]


def open_package(path: Path) -> DebPackage:
    """The package, read once, so that it is in memory."""
    subprocess.run(["cksum", str(path)], check=True, capture_output=True)
    # The paths of its files, by the list that it carries.
    command = ["dpkg-deb", "--info", str(path), "md5sums"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    paths = [line.split(maxsplit=1)[1] for line in lines]
    return DebPackage(
        path=path,
        vmlinux=next(path for path in paths if "/vmlinux-" in path),
        modules={normalise_module(Path(path).stem): path for path in paths if path.endswith(".ko")},
    )


def fetch(folder: Path) -> Path:
    """The newest -dbg package of this machine's archive and architecture, through apt."""
    pattern = "^linux-image-[0-9].*-(amd64|arm64)-dbg$"
    found = subprocess.run(
        ["apt-cache", "search", "--names-only", pattern], check=True, capture_output=True, text=True
    )
    names = [line.split()[0] for line in found.stdout.splitlines()]
    if not names:
        sys.exit("apt knows of no kernel's -dbg package: name one")
    subprocess.run(["apt-get", "download", names[-1]], check=True, cwd=folder)
    return next(folder.glob("*.deb"))
