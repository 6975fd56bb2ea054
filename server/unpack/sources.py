"""The source tree out of a source package: a tarball inside the package, unpacked as it streams."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind
from kernsym.server.disk import writing
from kernsym.server.growing import ByteSource
from kernsym.server.unpack.archive import Archive, open_archive
from kernsym.server.unpack.deb import corrupt
from kernsym.server.unpack.members import Allowance, safe_files, unsafe
from kernsym.server.unpack.payload import Stopped, open_payload

_FILTERS = {".tar": "none", ".xz": "xz", ".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked tree: its `path` relative to the folder it was put in, and its size in bytes."""

    path: str
    files: int
    size: int


def extract_sources(
    package: ByteSource,
    layout: Layout,
    into: Path,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> SourceTree | None:
    """Unpacks the source tarball to `into/<layout.source_root>`; None when `stop` ended it.

    Every file is kept: to leave out Documentation and tools would save a fifth of the files.
    Links are not: those of the kernel lead to device trees and self-tests.
    The tree is built beside its place and renamed whole; what a killed run left is removed first.

    Raises as `extract`; `package-corrupt` also when there is no such tarball.
    """
    if layout.source_root is None:
        raise ValueError("this layout has no source tree")
    target = into / layout.source_root
    beside = target.with_name(f".{target.name}.part")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        with open_payload(package, stop) as archive:
            files, size = _unpack_tarball(archive, layout, beside)
        with writing(target):
            if target.exists():
                shutil.rmtree(target)
            beside.replace(target)
        return SourceTree(path=layout.source_root, files=files, size=size)
    except Stopped:
        return None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack_tarball(archive: Archive, layout: Layout, folder: Path) -> tuple[int, int]:
    """Unpacks the first member that the layout calls the source archive; files and bytes."""
    allowance = Allowance()
    for _, path in safe_files(archive, allowance):
        found = layout.classify(path)
        if found is None or found[0] is not MemberKind.SOURCE_ARCHIVE:
            continue
        filter_name = _FILTERS.get(Path(path).suffix)
        if filter_name is None:
            raise corrupt(f"the source archive {path} is packed in an unknown way")
        with open_archive(archive.blocks(), format_name="tar", filter_name=filter_name) as tarball:
            return _unpack_tree(tarball, allowance, folder)
    raise corrupt("there is no source archive in it")


def _unpack_tree(tarball: Archive, allowance: Allowance, folder: Path) -> tuple[int, int]:
    """Writes the files of the tarball's one top folder into `folder`; how many, and bytes."""
    top = None
    files = size = 0
    made: set[Path] = set()
    for entry, path in safe_files(tarball, allowance):
        first, _, rest = path.partition("/")
        top = top or first
        if first != top or not rest:
            raise unsafe(f"the source archive holds {path!r} beside its folder {top!r}")
        place = folder / rest
        if place.parent not in made:
            with writing(place):
                place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        size += _write(place, tarball.blocks(), entry.modified)
        files += 1
    if not files:
        raise corrupt("the source archive is empty")
    return files, size


def _write(place: Path, blocks: Iterable[memoryview], modified: int) -> int:
    size = 0
    with writing(place):
        with place.open("wb") as file:
            for block in blocks:
                size += file.write(block)
        os.utime(place, (modified, modified))  # gdb warns of sources newer than their vmlinux
    return size
