"""Packs somebody's own kernel as a server takes it: a tar of its files, and their digests."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Unusable

_PIECE = 1 << 20
_PACKED = (".ko.xz", ".ko.zst", ".ko.gz")
_SOURCES = frozenset((".c", ".h", ".S", ".s", ".rs", ".l", ".y", ".inc", ".lds"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnBuild:
    """The files of a build by the names that they are sent under; `packed`: modules that are left
    out because they are compressed."""

    files: tuple[tuple[str, Path], ...]
    packed: int

    @property
    def modules(self) -> int:
        return sum(name.startswith("modules/") for name, _ in self.files)

    @property
    def sources(self) -> int:
        return sum(name.startswith("source/") for name, _ in self.files)


def find_files(vmlinux: Path, modules: Path | None, source: Path | None) -> OwnBuild:
    """A vmlinux, the modules below a folder, and the source files below another.

    Raises `Unusable` (`file-unreadable`) where something is not there.
    """
    if not vmlinux.is_file():
        raise Unusable("file-unreadable", f"there is no file {vmlinux}")
    files, packed = [("vmlinux", vmlinux)], 0
    for path in _below(modules):
        packed += path.name.endswith(_PACKED)
        if path.name.endswith((".ko", ".ko.debug")):
            files.append((f"modules/{path.relative_to(modules or '')}", path))
    files += [
        (f"source/{path.relative_to(source or '')}", path)
        for path in _below(source)
        if path.suffix in _SOURCES
    ]
    return OwnBuild(files=tuple(files), packed=packed)


def _below(top: Path | None) -> Iterator[Path]:
    """The plain files below a folder, in the same order each time."""
    if top is None:
        return
    if not top.is_dir():
        raise Unusable("file-unreadable", f"there is no folder {top}")
    for folder, folders, names in os.walk(top):
        folders[:] = sorted(name for name in folders if name != ".git")
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path


def packed(build: OwnBuild, on_progress: Callable[[int, int], None]) -> Iterator[bytes]:
    """The tar in pieces.  Raises `Unusable` (`file-changed`) for a file that becomes shorter or
    longer meanwhile."""
    states = [path.stat() for _, path in build.files]
    total, done = sum(state.st_size for state in states), 0
    sums: list[str] = []
    for (name, path), state in zip(build.files, states, strict=True):
        yield _header(name, state.st_size, state.st_mtime)
        digest, left = hashlib.sha256(), state.st_size
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                left -= len(piece)
                if left < 0:
                    break
                digest.update(piece)
                yield piece
                done += len(piece)
                on_progress(done, total)
        if left:
            raise Unusable("file-changed", f"{path} is being changed", hint="is it being built?")
        yield bytes(-state.st_size % tarfile.BLOCKSIZE)
        sums.append(f"{digest.hexdigest()}  {name}\n")
    listing = "".join(sums).encode()
    yield _header("SHA256SUMS", len(listing), 0) + listing
    yield bytes(-len(listing) % tarfile.BLOCKSIZE + 2 * tarfile.BLOCKSIZE)


def _header(name: str, size: int, modified: float) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, int(modified), 0o644
    return info.tobuf(tarfile.GNU_FORMAT)
