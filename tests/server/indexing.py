"""Packages of some MB, and passes over them that leave an index."""

from __future__ import annotations

import lzma
import random
from collections.abc import Callable
from pathlib import Path

import zstandard

from kernsym.server.unpack import ExtractedFile, Pass, extract, keep_index
from tests.deb_writer import deb
from tests.elf_writer import module, vmlinux
from tests.rpm_writer import file_tags, rpm
from tests.server.unpacking import LAYOUT, MODULES, Bytes

VMLINUX = "usr/lib/debug/lib/modules/K/vmlinux"
COUNT = 60
_RANDOM = random.Random(5)
_WORDS = [_RANDOM.randbytes(_RANDOM.randint(3, 14)) for _ in range(3000)]


def content(size: int) -> bytes:
    """Bytes that shrink to a third, as real ones do."""
    return b" ".join(_RANDOM.choices(_WORDS, k=size // 9))


def build_id(number: int) -> str:
    return f"{number:040x}"


FILES = {
    f"{MODULES}/fs/m{number}.ko": module(build_id(number)) + content(80_000 + 4_000 * (number % 50))
    for number in _RANDOM.sample(range(COUNT), COUNT)  # in no order
}
FILES[VMLINUX] = vmlinux() + content(400_000)


def zstd(data: bytes) -> bytes:
    """As rpm packs: a stream whose size nobody knew, with a window that is smaller than that."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=17, write_content_size=False
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(data) + packer.flush()


def xz(data: bytes, container: int = lzma.FORMAT_XZ) -> bytes:
    """In one block."""
    return lzma.compress(data, container, preset=0)


MEMBERS = [(f"./{path}", data) for path, data in FILES.items()]
PACKAGES: dict[str, Callable[[], bytes]] = {
    "rpm zstd": lambda: rpm(MEMBERS, "zstd", pack=zstd, tags=file_tags(MEMBERS)),
    "rpm gzip": lambda: rpm(MEMBERS, "gzip", tags=file_tags(MEMBERS)),
    "rpm xz": lambda: rpm(MEMBERS, "xz", pack=xz),
    "rpm lzma": lambda: rpm(MEMBERS, "lzma", pack=lambda data: xz(data, lzma.FORMAT_ALONE)),
    "rpm plain": lambda: rpm(MEMBERS, ""),
    "deb zstd": lambda: deb(MEMBERS, ".zst", pack=zstd, listed=FILES),
    "deb gzip": lambda: deb(MEMBERS, ".gz"),
    "deb xz": lambda: deb(MEMBERS, ".xz", pack=xz),
}


def build(kind: str) -> bytes:
    """A package that holds all `FILES`."""
    return PACKAGES[kind]()


def take(
    package: bytes | Bytes, into: Path, index: Path | None, *names: str
) -> tuple[Pass, dict[str, ExtractedFile]]:
    """The modules of these names and vmlinux if it is among them, written and compared."""
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(package) if isinstance(package, bytes) else package,
        LAYOUT,
        lambda kind, name, path: (name or kind.value) in names,
        into,
        files.append,
        index=index,
    )
    if went.indexed and index is not None:
        keep_index(index)
    for file in files:
        assert (into / file.path).read_bytes() == FILES[file.path]
    assert {file.name or file.kind.value for file in files} == set(names)
    return went, {file.path: file for file in files}


def indexed(package: bytes, folder: Path) -> Path:
    index = folder / "package.index"
    went, _ = take(package, folder / "first", index, "vmlinux", "m3")
    assert went == Pass(complete=True, modules=frozenset(MODULE_NAMES), indexed=True)
    return index


MODULE_NAMES = {f"m{number}" for number in range(COUNT)}
