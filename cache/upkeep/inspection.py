"""Looks whether a store is whole: what its manifests promise, and what nobody promises."""

from __future__ import annotations

import enum
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache.bundle import Bundle, BundleFile, FileRole
from kernsym.cache.locks import is_held
from kernsym.cache.manifests import read_manifest, stamp_of
from kernsym.cache.removal import PARTS
from kernsym.cache.store import Store
from kernsym.cache.upkeep.elf_build_id import build_id_of
from kernsym.cache.usage import bytes_on_disk
from kernsym.distros import KernsymError

_BLOCK = 1 << 20
_STALE_SECONDS = 86_400.0  # a download that was broken off is gone on with for so long
_ELF = (FileRole.VMLINUX, FileRole.STRIPPED, FileRole.MODULE)

Progress = Callable[[int], None]  # hears how many bytes were read, in all


class Fault(str, enum.Enum):
    """What can be wrong."""

    MANIFEST = "manifest-unreadable"
    FILE = "file-damaged"  # missing, or not as the manifest says
    PACKAGE = "package-damaged"  # one that is kept for further modules
    COPY = "copy-damaged"  # a prepared one
    LINK = "link-wrong"
    INDEX = "index-wrong"
    LEFT_OVER = "left-over"  # of somebody who was killed
    UNREADABLE = "unreadable"  # for this user


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`kernel`: its key, "" of none; `path` relative to the store; what is wrong, in words."""

    fault: Fault
    kernel: str
    path: str
    said: str


def size_to_read(store: Store, bundle: Bundle) -> int:
    """Bytes that the inspection of a kernel reads."""
    packages = bytes_on_disk(store.folder(bundle.kernel) / "packages")
    files = sum(file.size for file in bundle.files if file.role is not FileRole.SOURCE_TREE)
    return files + packages + (bundle.prepared.size if bundle.prepared else 0)


def inspect_kernel(
    store: Store, bundle: Bundle, on_read: Progress = lambda done: None
) -> Iterator[Finding]:
    """What is wrong with a kernel that is held.  Reads all of it."""
    key, folder = bundle.kernel.key, store.folder(bundle.kernel)
    reader = _Reader(on_read)
    for file in bundle.files:
        fault = Fault.FILE
        said = _tree(folder / file.path, file) if file.role is FileRole.SOURCE_TREE else None
        if file.role is not FileRole.SOURCE_TREE:
            fault, said = _file(folder / file.path, file, reader)
        if said:
            yield _finding(store, fault, key, folder / file.path, said)
        elif file.build_id and file.role is not FileRole.STRIPPED:
            yield from _link(store, key, file)
    copy = bundle.prepared
    if copy is not None:
        _, said = _file(folder / copy.path, copy.file, reader)
        if said:
            yield _finding(store, Fault.COPY, key, folder / copy.path, said)
    yield from _packages(store, bundle, reader)
    if not any(is_held(store.tree.lock(key, part)) for part in PARTS):
        yield from _left_over(store, bundle)


def inspect_rest(store: Store) -> Iterator[Finding]:
    """What is wrong beside the kernels that are held."""
    stamps, held = store.files.stamps(), set()
    for key in store.tree.held_keys():
        held.add(key)
        manifest = store.tree.manifest(key)
        try:
            read_manifest(manifest)
        except KernsymError as error:
            yield _finding(store, Fault.MANIFEST, key, manifest, error.message)
            continue
        except OSError as error:
            yield _finding(store, Fault.UNREADABLE, key, manifest, str(error.strerror))
            continue
        if stamps.pop(key, "") != stamp_of(manifest):
            yield _finding(store, Fault.INDEX, key, manifest, "the index does not have it so")
    for key in stamps.keys() - held:
        said = "the index has it, no manifest does"
        yield _finding(store, Fault.INDEX, key, store.tree.folder(key), said)
    for folder in store.tree.kernels.glob("*/*/*/*"):
        key = store.tree.key_of(folder)
        if key not in held and _is_stale(store, key, folder):
            said = "begun more than a day ago, and nobody works on it"
            yield _finding(store, Fault.LEFT_OVER, key, folder, said)
    for link in (store.root / ".build-id").glob("*/*.debug"):
        if not link.exists() and not _is_promised(store, link):
            yield _finding(store, Fault.LINK, "", link, "it leads nowhere")
    if store.tree.removed.is_dir() and any(store.tree.removed.iterdir()):
        yield _finding(store, Fault.LEFT_OVER, "", store.tree.removed, "removed, not yet deleted")


class _Reader:
    """Counts what is read."""

    def __init__(self, on_read: Progress) -> None:
        self._on_read = on_read
        self._done = 0

    def digest(self, path: Path, algorithm: str = "sha256") -> str:
        digest = hashlib.new(algorithm)
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                self._done += len(block)
                self._on_read(self._done)
        return digest.hexdigest()


def _file(path: Path, file: BundleFile, reader: _Reader) -> tuple[Fault, str]:
    """What is wrong with a file, "" nothing."""
    try:
        size = path.stat().st_size
        if size != file.size:
            return Fault.FILE, f"it has {size} bytes, {file.size} are promised"
        if reader.digest(path) != file.sha256:
            return Fault.FILE, "its content is not what was published"
        if file.role in _ELF and file.build_id and build_id_of(path) != file.build_id:
            return Fault.FILE, f"its build ID is {build_id_of(path)}, not {file.build_id}"
    except FileNotFoundError:
        return Fault.FILE, "it is not there"
    except PermissionError:
        return Fault.UNREADABLE, "this user may not read it"
    except OSError as error:
        return Fault.FILE, f"it cannot be read: {error.strerror}"
    return Fault.FILE, ""


def _tree(folder: Path, file: BundleFile) -> str:
    """The digest of a source tree is that of its package: only its size tells."""
    if not folder.is_dir():
        return "it is not there"
    size = 0
    for parent, _, names in os.walk(folder):
        size += sum(os.lstat(f"{parent}/{name}").st_size for name in names)
    return "" if size == file.size else f"its files have {size} bytes, {file.size} are promised"


def _link(store: Store, key: str, file: BundleFile) -> Iterator[Finding]:
    link = Path(store.tree.link(file.build_id or ""))
    if link.exists():
        return  # it may be of another kernel that has the same file
    said = "it leads nowhere" if link.is_symlink() else "it is not there"
    yield _finding(store, Fault.LINK, key, link, f"{said}; it is for {file.path}")


def _packages(store: Store, bundle: Bundle, reader: _Reader) -> Iterator[Finding]:
    for ref in bundle.packages:
        path = store.package_path(bundle.kernel, ref)
        if ref.digest and path.is_file():
            algorithm, _, wanted = ref.digest.partition(":")
            try:
                said = "" if reader.digest(path, algorithm) == wanted else "its digest is wrong"
            except OSError as error:
                said = f"it cannot be read: {error.strerror}"
            if said:
                yield _finding(store, Fault.PACKAGE, bundle.kernel.key, path, said)


def _left_over(store: Store, bundle: Bundle) -> Iterator[Finding]:
    """Files below `root` that the manifest does not name."""
    folder = store.folder(bundle.kernel)
    named = {f"{folder}/{file.path}" for file in bundle.files}
    for parent, folders, names in os.walk(folder / "root"):
        folders[:] = [name for name in folders if f"{parent}/{name}" not in named]
        for name in names:
            if f"{parent}/{name}" not in named:
                said = "no manifest names it"
                path = Path(parent) / name
                yield _finding(store, Fault.LEFT_OVER, bundle.kernel.key, path, said)


def _is_promised(store: Store, link: Path) -> bool:
    """Whether a manifest names the file that a link leads to: then that is what is missing."""
    place = os.path.relpath(link.parent / link.readlink(), store.tree.kernels).split("/")
    bundle = store.bundle_by_key("/".join(place[:4]))
    return bundle is not None and "/".join(place[4:]) in {file.path for file in bundle.files}


def _is_stale(store: Store, key: str, folder: Path) -> bool:
    if any(is_held(store.tree.lock(key, part)) for part in PARTS):
        return False
    newest = max(
        (os.lstat(parent).st_mtime for parent, _, _ in os.walk(folder)), default=time.time()
    )
    return time.time() - newest > _STALE_SECONDS


def _finding(store: Store, fault: Fault, key: str, path: Path, said: str) -> Finding:
    return Finding(fault=fault, kernel=key, path=str(path.relative_to(store.root)), said=said)
