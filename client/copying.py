"""Copies what a remote server holds into the store of this machine."""

from __future__ import annotations

import os
import shutil
import tarfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from kernsym.cache import Bundle, BundleFile, FileRole, placed
from kernsym.cache.upkeep import Room
from kernsym.client.output import Reporter
from kernsym.distros import Kernel, Refused

if TYPE_CHECKING:
    from kernsym.client.server_api import ServerApi


def copy_files(
    api: ServerApi,
    room: Room,
    bundle: Bundle,
    names: set[str],
    reporter: Reporter,
    *,
    original: bool,
) -> Bundle:
    """Bring vmlinux and the modules in `names` (kernel's spelling) here; what is here stays.

    `original`: vmlinux itself is wanted; else its prepared copy, where there is one, does: it has
    half the bytes.  Returns the bundle of the local store.
    """
    store = room.store
    theirs, bundle = bundle.kernel, placed(store, bundle)
    folder = store.folder(bundle.kernel)
    with store.lock(bundle.kernel, "symbols"):
        held = store.bundle(bundle.kernel)
        have = set(held.files) if held else set()
        copy = bundle.usable_copy()
        if original or copy is None or (held is not None and held.first(FileRole.VMLINUX)):
            copy = None
        elif held is not None and held.prepared == copy and (folder / copy.path).is_file():
            have.add(copy.file)
        wanted = tuple(
            file
            for file in bundle.files
            if (file.role is FileRole.VMLINUX and copy is None)
            or file.role is FileRole.STRIPPED
            or (file.role is FileRole.MODULE and file.name in names)
        )
        missing = [file for file in (*wanted, *([copy.file] if copy else ())) if file not in have]
        if missing:
            _copy(api, room, theirs, bundle, missing, reporter)
        held = store.publish(replace(bundle, files=wanted, prepared=copy))
        for package in _checked_since(held, bundle):
            store.mark_checked(bundle.kernel, package)
    return store.bundle(bundle.kernel) or held


def _copy(
    api: ServerApi,
    room: Room,
    theirs: Kernel,
    bundle: Bundle,
    files: list[BundleFile],
    reporter: Reporter,
) -> None:
    """Bring files of a kernel that the server has as `theirs`."""
    folder, total, before = room.store.folder(bundle.kernel), sum(file.size for file in files), 0
    with _reserved(room, bundle, total, reporter):
        for file in files:
            for done in api.download(theirs, file, _inside(folder, file)):
                reporter.progress("copy", before + done, total)
            before += file.size
    reporter.line("copy", f"{len(files)} files from the server")


def _checked_since(held: Bundle, theirs: Bundle) -> list[str]:
    """The packages that were copied before the server had checked them, and now it has: of the
    very files that it has still."""
    unchecked = {mark.package for mark in theirs.unchecked}
    known = set(theirs.files)
    files = {file.path: file for file in held.files}
    return [
        mark.package
        for mark in held.unchecked
        if mark.package not in unchecked
        and all(files.get(path) in known for path in mark.paths if path in files)
    ]


def _reserved(
    room: Room, bundle: Bundle, size: int, reporter: Reporter
) -> AbstractContextManager[None]:
    """Room for what is copied, within the limits of the local store."""
    key = bundle.kernel.key
    return room.reserved(key, size, on_wait=lambda text: reporter.line("room", text))


def copy_sources(api: ServerApi, room: Room, bundle: Bundle, reporter: Reporter) -> Bundle:
    """Bring the source tree here.  Returns the bundle of the local store."""
    store = room.store
    theirs, bundle = bundle.kernel, placed(store, bundle)
    tree = bundle.first(FileRole.SOURCE_TREE)
    held = store.bundle(bundle.kernel)
    if tree is None or (held is not None and tree in held.files):
        return held or bundle
    target = _inside(store.folder(bundle.kernel), tree)
    beside = target.with_name(f".{target.name}.part")
    with (
        store.lock(bundle.kernel, "sources"),
        _reserved(room, bundle, tree.size, reporter),
    ):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            _unpack(api, theirs, beside, reporter)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        beside.replace(target)
        return store.publish(replace(bundle, files=(tree,), prepared=None))


def _unpack(api: ServerApi, kernel: Kernel, into: Path, reporter: Reporter) -> None:
    with (
        api.source_tree(kernel) as stream,
        tarfile.open(fileobj=stream, mode="r|") as archive,
    ):
        done = 0
        for member in archive:
            if not member.isfile() or not _is_inside(member.name):
                raise Refused("archive-unsafe", f"the server sent {member.name!r} as a source file")
            target = into / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("wb") as out:
                shutil.copyfileobj(cast(IO[bytes], archive.extractfile(member)), out)
            os.utime(target, (member.mtime, member.mtime))
            done += member.size
            reporter.progress("sources", done, None)


def _inside(folder: Path, file: BundleFile) -> Path:
    """Where a file of a manifest that came over the network goes; never outside of `folder`."""
    if not _is_inside(file.path):
        raise Refused("manifest-unsafe", f"the server's manifest names the path {file.path!r}")
    return folder / file.path


def _is_inside(path: str) -> bool:
    parts = path.split("/")
    return not path.startswith("/") and not {"", ".", ".."} & set(parts) and "\0" not in path
