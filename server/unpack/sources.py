"""The source tree out of a package, as it streams: a tarball inside it, or plain members."""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind
from kernsym.server.disk import writing
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance, unsafe
from kernsym.server.unpack.archive import Archive, Stopped, open_archive
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.packed import corrupt
from kernsym.server.unpack.payload import is_tarball, open_gzip, open_payload
from kernsym.server.unpack.unified_diff import apply_diff

_FILTERS = {".tar": "none", ".xz": "xz", ".gz": "gzip", ".bz2": "bzip2", ".zst": "zstd"}
_TREE = re.compile(r"(?:.*?/)?linux-[^/]+(?=/)")


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
    diff: ByteSource | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> SourceTree | None:
    """Unpacks the sources below `into`; None when `stop` ended it.

    They are a tarball, which becomes `layout.source_root`, or plain members, which keep their
    paths.  Of a Debian source package `package` is the tarball itself, which `diff` is applied to.
    Every file is kept: to leave out Documentation and tools would save a fifth of them.
    Links are not: those of the kernel lead to device trees and self-tests.
    The tree is built beside its place and renamed whole; what a killed run left is removed first.

    Raises as `extract` and `apply_diff`; `package-corrupt` also when there are no sources.
    """
    beside = into / ".sources.part"
    shutil.rmtree(beside, ignore_errors=True)
    try:
        allowance = Allowance()
        with open_payload(package, stop, allowance) as archive:
            if is_tarball(package) and layout.source_root:
                tree = _unpack_root(archive, allowance, layout.source_root, beside)
            else:
                tree = _unpack(archive, allowance, layout, beside)
        if diff is not None:
            tree = _change(diff, tree, beside, stop)
        target = into / tree.path
        with writing(target):
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            (beside / tree.path).replace(target)
        return tree
    except Stopped:
        return None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unpack(archive: Archive, allowance: Allowance, layout: Layout, into: Path) -> SourceTree:
    """Writes the tree that the package holds, at its path below `into`."""
    roots: Counter[str] = Counter()
    made: set[Path] = set()
    size = 0
    for entry, path in safe_files(archive, allowance):
        kind, _ = layout.classify(path) or (None, "")
        if kind is MemberKind.SOURCE_ARCHIVE and layout.source_root:
            with _open_tarball(archive, path) as tarball:
                return _unpack_root(tarball, allowance, layout.source_root, into)
        if kind is MemberKind.SOURCE_FILE:
            size += _write(into / path, archive.blocks(), entry.modified, made)
            roots[_root_of(path, layout)] += 1
    if not roots:
        raise corrupt("there are no sources in it")
    root, files = roots.most_common(1)[0]
    return SourceTree(path=root, files=files, size=size)


def _unpack_root(tarball: Archive, allowance: Allowance, root: str, into: Path) -> SourceTree:
    files, size = _unpack_tree(tarball, allowance, into / root)
    return SourceTree(path=root, files=files, size=size)


def _change(diff: ByteSource, tree: SourceTree, into: Path, stop: Callable[[], bool]) -> SourceTree:
    """The tree below `into` after the changes of a packed unified diff."""
    allowance = Allowance()
    with open_gzip(diff, stop, allowance) as blocks:
        counted = allowance.counted(blocks, "the diff", claimed=False)
        added, growth = apply_diff(counted, into / tree.path)
    return SourceTree(path=tree.path, files=tree.files + added, size=tree.size + growth)


def _root_of(path: str, layout: Layout) -> str:
    """The folder of the source tree that a file lies in: the layout's, or the one that is named
    `linux-...`, or that of the file."""
    if layout.source_root and path.startswith(f"{layout.source_root}/"):
        return layout.source_root
    found = _TREE.match(path)
    return found[0] if found else path.rpartition("/")[0]


def _open_tarball(archive: Archive, path: str) -> AbstractContextManager[Archive]:
    filter_name = _FILTERS.get(Path(path).suffix)
    if filter_name is None:
        raise corrupt(f"the source archive {path} is packed in an unknown way")
    return open_archive(archive.blocks(), format_name="tar", filter_name=filter_name)


def _unpack_tree(tarball: Archive, allowance: Allowance, folder: Path) -> tuple[int, int]:
    """Writes the files of the tarball's one top folder into `folder`; how many, and bytes."""
    top = None
    files = size = newest = 0
    made: set[Path] = set()
    for entry, path in safe_files(tarball, allowance):
        first, _, rest = path.partition("/")
        top = top or first
        if first != top or not rest:
            raise unsafe(f"the source archive holds {path!r} beside its folder {top!r}")
        size += _write(folder / rest, tarball.blocks(), entry.modified, made)
        files += 1
        newest = max(newest, entry.modified)
    if not files:
        raise corrupt("the source archive is empty")
    with writing(folder):
        os.utime(folder, (newest, newest))
    return files, size


def _write(place: Path, blocks: Iterable[memoryview], modified: int, made: set[Path]) -> int:
    """Writes a file, and its folder unless that is among those `made`; its size in bytes."""
    size = 0
    with writing(place):
        if place.parent not in made:
            place.parent.mkdir(parents=True, exist_ok=True)
            made.add(place.parent)
        with place.open("wb") as file:
            for block in blocks:
                size += file.write(block)
        os.utime(place, (modified, modified))  # gdb warns of sources newer than their vmlinux
    return size
