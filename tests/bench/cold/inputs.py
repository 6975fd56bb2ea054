"""The packages that the rows are about: where they come from, and what is in them."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import normalise_module
from tests.bench.cold.unpacker import Unpacker, from_disk

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
class KernelPackage:
    """A kernel's debug package; `vmlinux` and `modules` (by name) are paths in it."""

    path: Path
    vmlinux: str
    modules: dict[str, str]

    @property
    def loaded(self) -> list[str]:
        """Names of some twenty modules."""
        return [name for name in _LOADED if name in self.modules] or sorted(self.modules)[:20]

    def spread(self, count: int) -> list[str]:
        """Names of so many modules from all over the package, as far as it has them."""
        names = sorted(self.modules, key=lambda name: self.modules[name])
        count = min(count, len(names))
        return [names[len(names) * (2 * at + 1) // (2 * count)] for at in range(count)]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildIds:
    """Of a package's vmlinux, and of some modules from all over it."""

    vmlinux: str
    modules: tuple[str, ...]


def open_deb(path: Path) -> KernelPackage:
    """A Debian kernel's -dbg package, read once, so that it is in memory."""
    subprocess.run(["cksum", str(path)], check=True, capture_output=True)
    try:  # the list of its files that it carries
        lines = _lines("dpkg-deb", "--info", str(path), "md5sums")
        return _open(path, [line.split(maxsplit=1)[1] for line in lines])
    except subprocess.CalledProcessError:
        lines = _lines("sh", "-c", 'dpkg-deb --fsys-tarfile "$0" | tar t', str(path))
        return _open(path, [line.removeprefix("./") for line in lines])


def open_rpm(path: Path) -> KernelPackage:
    """A kernel-debuginfo package."""
    return _open(path, [line.removeprefix("/") for line in _lines("rpm", "-qlp", str(path))])


def _open(path: Path, files: list[str]) -> KernelPackage:
    return KernelPackage(
        path=path,
        vmlinux=next(file for file in files if "/vmlinux" in file),
        modules={normalise_module(Path(file).name): file for file in files if ".ko" in file},
    )


def _lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def build_ids(package: KernelPackage, count: int) -> BuildIds:
    """Of vmlinux and so many modules."""
    names = package.spread(count)
    with tempfile.TemporaryDirectory(dir=package.path.parent) as into:
        unpacker = Unpacker(Path(into), {"vmlinux", *names})
        from_disk(package.path, unpacker)
    return BuildIds(
        vmlinux=unpacker.build_ids["vmlinux"],
        modules=tuple(unpacker.build_ids[name] for name in names),
    )


def fetch(folder: Path) -> Path:
    """The newest -dbg package of this machine's archive and architecture, through apt."""
    pattern = "^linux-image-[0-9].*-(amd64|arm64)-dbg$"
    found = _lines("apt-cache", "search", "--names-only", pattern)
    if not found:
        sys.exit("apt knows of no kernel's -dbg package: name one")
    subprocess.run(["apt-get", "download", found[-1].split()[0]], check=True, cwd=folder)
    return next(folder.glob("*.deb"))
