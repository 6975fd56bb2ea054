"""Writes a .kbundle out of a store."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import IO

import zstandard

from kernsym.cache.bundle import Bundle, FileRole
from kernsym.cache.kbundle.contents import (
    CONTENTS,
    SIGNATURE,
    SUMS,
    Contents,
    encode_contents,
    encode_sums,
    kernel_path,
)
from kernsym.cache.plain_files import plain_files
from kernsym.cache.store import Store
from kernsym.distros import KernsymError, Refused

_LEVEL = 3
_PIECE = 1 << 20
_FRAME = 8 << 20  # bytes: a frame ends behind the member that fills it

Progress = Callable[[int, int], None]
Sign = Callable[[bytes], bytes]


def pack(
    store: Store,
    bundles: Iterable[Bundle],
    out: IO[bytes],
    *,
    sign: Sign | None = None,
    on_progress: Progress = lambda done, total: None,
) -> Contents:
    """Writes the files that `bundles` name, each content once; returns what was written of what.

    `sign`: makes a detached signature over the digests.  Every file is compared with its manifest
    on the way.  Raises `Refused` (`store-damaged`), `KernsymError` (`not-held`), `Unusable`
    (`path-odd`), OSError.
    """
    kernels = tuple(sorted(bundles, key=lambda bundle: bundle.kernel.key))
    now = datetime.now(timezone.utc)
    contents = Contents(
        kernels=kernels,
        made=now.isoformat(timespec="seconds"),
        program=f"kernsym {version('kernsym')}",
    )
    files = [each for bundle in kernels for each in _files(store, bundle)]
    total = sum(size for _, _, size in files)
    head = encode_contents(contents)
    sums = {CONTENTS: hashlib.sha256(head).hexdigest()} | _digests(store, kernels, files)
    listing = encode_sums(sums)
    packer = _Packer(out, int(now.timestamp()), lambda done: on_progress(done, total))
    packer.text(CONTENTS, head)
    packer.text(SUMS, listing)
    if sign is not None:
        packer.text(SIGNATURE, sign(listing))
    for name, path, size in files:
        packer.file(name, path, size, sums[name])
    packer.end()
    return contents


def _files(store: Store, bundle: Bundle) -> Iterator[tuple[str, Path, int]]:
    """The files of a kernel: path in the .kbundle, path on disk, size in bytes."""
    folder = store.folder(bundle.kernel)
    for file in bundle.files:
        place = folder / file.path
        if file.role is FileRole.SOURCE_TREE:
            for path in plain_files(place):
                inside = path.relative_to(folder).as_posix()
                yield kernel_path(bundle, inside), path, path.stat().st_size
        else:
            yield kernel_path(bundle, file.path), place, file.size


def _digests(
    store: Store, kernels: Iterable[Bundle], files: Iterable[tuple[str, Path, int]]
) -> dict[str, str]:
    """SHA-256 by path: from the manifests, but of source files, which those do not name."""
    known = {
        kernel_path(bundle, file.path): file.sha256
        for bundle in kernels
        for file in bundle.files
        if file.role is not FileRole.SOURCE_TREE
    }
    return {name: known.get(name) or _digest(path) for name, path, _ in files}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class _Packer:
    """The members, one after the other, in frames that can be unpacked alone."""

    def __init__(self, out: IO[bytes], made: int, tell: Callable[[int], None]) -> None:
        self._out = out
        self._made = made
        self._tell = tell
        self._written: dict[str, str] = {}  # path by digest
        self._done = 0
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=-1)
        self._frame = self._compressor.compressobj()
        self._filled = 0

    def text(self, name: str, data: bytes) -> None:
        self._header(name, len(data), self._made)
        self._content(io.BytesIO(data), name, len(data), hashlib.sha256(data).hexdigest())

    def file(self, name: str, path: Path, size: int, sha256: str) -> None:
        """A file, or a link to the member that has the same content."""
        before = self._written.setdefault(sha256, name)
        try:
            # gdb warns of sources that are newer than their vmlinux.
            modified = int(path.stat().st_mtime)
            if before != name:
                self._header(name, 0, modified, same_as=before)
                self._done += size
                return
            self._header(name, size, modified)
            with path.open("rb") as file:
                self._content(file, name, size, sha256)
        except FileNotFoundError as error:
            raise KernsymError("not-held", f"{name} is no longer in the store") from error

    def end(self) -> None:
        """Two empty blocks end a tar."""
        self._put(bytes(2 * tarfile.BLOCKSIZE))
        self._out.write(self._frame.flush())

    def _header(self, name: str, size: int, modified: int, *, same_as: str = "") -> None:
        if self._filled >= _FRAME:
            self._out.write(self._frame.flush())
            self._frame, self._filled = self._compressor.compressobj(), 0
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, modified, 0o644
        if same_as:
            info.type, info.linkname = tarfile.LNKTYPE, same_as
        try:
            header = info.tobuf(tarfile.USTAR_FORMAT)  # a third of PAX's, and quicker to read
        except ValueError:  # a path that does not fit
            header = info.tobuf(tarfile.PAX_FORMAT)
        self._put(header)

    def _content(self, file: IO[bytes], name: str, size: int, sha256: str) -> None:
        digest, left = hashlib.sha256(), size
        while left and (piece := file.read(min(_PIECE, left))):
            digest.update(piece)
            self._put(piece)
            left -= len(piece)
            self._done += len(piece)
            self._tell(self._done)
        if left or digest.hexdigest() != sha256:
            raise Refused(
                "store-damaged",
                f"{name} is not what its manifest says",
                hint="kernsym rm the kernel and fetch it again",
            )
        self._put(bytes(-size % tarfile.BLOCKSIZE))

    def _put(self, data: bytes) -> None:
        self._out.write(self._frame.compress(data))
        self._filled += len(data)
