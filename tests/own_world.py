"""The bundled world as if somebody had built its kernel in house: another builder in its banner, in
vmlinux and in the memory of the dump; the code, the build IDs and the crash are the world's."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from kernsym.client.dumps.detect import open_dump
from tests.conftest import BANNER, DEBUG_PACKAGE, SOURCE_PACKAGE, WORLD

# Of equal length, so that nothing moves.
_CHANGES = (
    (b"debian-kernel@lists.debian.org", b"kernel-builders@acme.example.c"),
    (b"Debian 6.1.192-999", b"ACMEco 6.1.192-999"),
)
OWN_BANNER = BANNER
for _before, _after in _CHANGES:
    assert len(_before) == len(_after)
    OWN_BANNER = OWN_BANNER.replace(_before.decode(), _after.decode())


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnWorld:
    """`dump`: raw memory; `vmlinux`, the folders of `modules` and of `sources`."""

    dump: Path
    vmlinux: Path
    modules: Path
    sources: Path


def make(folder: Path) -> OwnWorld:
    for package, name in ((DEBUG_PACKAGE, "build"), (SOURCE_PACKAGE, "linux")):
        subprocess.run(["dpkg-deb", "-x", f"{WORLD}/repo{package}", folder / name], check=True)
    packed = next(folder.glob("linux/usr/src/*.tar.xz"))
    subprocess.run(["tar", "-xf", packed, "-C", folder / "linux"], check=True)
    vmlinux = next(path for path in folder.glob("build/usr/lib/debug/boot/vmlinux-*"))
    vmlinux.write_bytes(_changed(vmlinux.read_bytes()))
    dump = folder / "memory.raw"
    dump.write_bytes(_changed(_memory(WORLD / "vmcore")))
    return OwnWorld(
        dump=dump,
        vmlinux=vmlinux,
        modules=folder / "build/usr/lib/debug/lib/modules",
        sources=next(path for path in (folder / "linux").glob("linux-source-*")),
    )


def _changed(data: bytes) -> bytes:
    for before, after in _CHANGES:
        data = data.replace(before, after)
    return data


def _memory(dump: Path) -> bytes:
    """The physical memory of a dump, zeros where it has none."""
    reader = open_dump(dump)
    try:
        memory = bytearray(max(part.address + part.size for part in reader.segments()))
        for part in reader.segments():
            for address in range(part.address, part.address + part.size, 4096):
                page = reader.read(address, 4096)
                memory[address : address + len(page)] = page
        return bytes(memory)
    finally:
        reader.close()
