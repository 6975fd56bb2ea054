"""What takes how much of the disk."""

from __future__ import annotations

import contextlib
import enum
import os
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache.bundle import Bundle, FileRole
from kernsym.cache.index import Index
from kernsym.cache.tree import Tree

_ROOT = "root"
_BLOCK = 4096


class Piece(str, enum.Enum):
    """What of a kernel takes room."""

    VMLINUX = "vmlinux"
    MODULES = "modules"
    SOURCES = "sources"
    PACKAGES = "packages"  # that the files came from, or come from just now
    PREPARED = "prepared"  # made from the files, for a quicker start
    OTHER = "other"


_OF_ROLE = {
    FileRole.VMLINUX: Piece.VMLINUX,
    FileRole.STRIPPED: Piece.VMLINUX,
    FileRole.MODULE: Piece.MODULES,
    FileRole.SOURCE_TREE: Piece.SOURCES,
}
_OF_FOLDER = {"packages": Piece.PACKAGES, "prepared": Piece.PREPARED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Bytes on the disk of each piece of a kernel that takes any."""

    key: str
    pieces: dict[Piece, int]

    @property
    def total(self) -> int:
        return sum(self.pieces.values())


def usage_of(tree: Tree, index: Index, bundle: Bundle, *, thorough: bool = True) -> Usage:
    """What a kernel takes.  The trees of sources, which never change, are looked through once.

    Without `thorough` the sizes of the other files are believed, and what no manifest names is
    looked for only beside them.
    """
    folder = tree.folder(bundle.kernel.key)
    pieces: dict[Piece, int] = dict.fromkeys(Piece, 0)
    known = {f"{folder}/{file.path}": file for file in bundle.files}
    for path, file in known.items():
        piece = _OF_ROLE.get(file.role, Piece.OTHER)
        if file.role is FileRole.SOURCE_TREE:
            pieces[piece] += _tree_size(Path(path), index)
        else:
            pieces[piece] += _size(path) if thorough else -(-file.size // _BLOCK) * _BLOCK
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if f"{parent}/{name}" not in known]
        if parent == str(folder) and not thorough:
            folders[:] = [name for name in folders if name != _ROOT]
        top = parent[len(str(folder)) + 1 :].partition("/")[0]
        rest = sum(_size(f"{parent}/{n}") for n in names if f"{parent}/{n}" not in known)
        pieces[_OF_FOLDER.get(top, Piece.OTHER)] += rest
    return Usage(key=bundle.kernel.key, pieces={p: size for p, size in pieces.items() if size})


def shared_usage(tree: Tree) -> dict[str, int]:
    """Bytes on the disk of what belongs to no kernel that is held: by the name of the folder, and
    `unfinished` for kernels that are not published yet."""
    found = {}
    held = {str(tree.folder(key)) for key in tree.held_keys()}
    unfinished = 0
    for parent, folders, names in os.walk(tree.kernels):
        folders[:] = [name for name in folders if f"{parent}/{name}" not in held]
        unfinished += sum(_size(f"{parent}/{name}") for name in names)
    for folder in sorted(tree.root.iterdir()):
        if folder != tree.kernels:
            found[folder.name] = bytes_on_disk(folder)
    return {"unfinished": unfinished, **found}


def bytes_on_disk(folder: Path) -> int:
    """What a file, or everything below a folder, takes on the disk; 0 for none."""
    if not folder.is_dir() or folder.is_symlink():
        return _size(str(folder))
    return sum(
        _size(f"{parent}/{name}") for parent, _, names in os.walk(folder) for name in (".", *names)
    )


def _tree_size(folder: Path, index: Index) -> int:
    """The size of a tree that never changes once it is in its place."""
    try:
        state = folder.stat()
    except OSError:
        return 0
    name = f"tree:{state.st_dev}:{state.st_ino}:{state.st_ctime_ns}"
    size = index.size(name)
    if size is None:
        size = bytes_on_disk(folder)
        index.remember_size(name, size)
    return size


def _size(path: str) -> int:
    with contextlib.suppress(OSError):
        return os.lstat(path).st_blocks * 512
    return 0
