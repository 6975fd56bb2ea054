"""Takes kernels, or parts of them, out of a store.

What is removed whole is first moved to STORE/removed, in one step: nobody sees half of it, also not
after kill -9.  The next removal, or `mend`, deletes what was left there.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kernsym.cache.atomic import write_atomic
from kernsym.cache.bundle import Bundle, FileRole, encode
from kernsym.cache.file_index import FileIndex
from kernsym.cache.known_members import KnownKernel, KnownMembers
from kernsym.cache.links import BuildIdLinks
from kernsym.cache.locks import hold, hold_at_once
from kernsym.cache.manifests import read_manifest, stamp_of
from kernsym.cache.tree import Tree
from kernsym.cache.uses import USE

PARTS = ("symbols", "sources")  # of a kernel, each of which somebody may be working on
ASIDE = ("prepared", "check")  # work on what is held, which is not to be disturbed without need


class Removal:
    """Removes from the store that `tree`, `links`, `files` and `known` are of."""

    def __init__(
        self, tree: Tree, links: BuildIdLinks, files: FileIndex, known: KnownMembers
    ) -> None:
        self._tree = tree
        self._links = links
        self._files = files
        self._known = known

    def remove(self, bundle: Bundle) -> None:
        """Remove a kernel, when nobody works on it any more.  Its build IDs stay known."""
        key = bundle.kernel.key
        with contextlib.ExitStack() as locks:
            for part in (*PARTS, "manifest"):
                locks.enter_context(hold(self._tree.lock(key, part)))
            self._take_out(bundle)
        self.empty_bin()

    def evict(self, bundle: Bundle) -> None:
        """The same at once.  Raises `Busy` when somebody works on it or uses it."""
        with self._alone(bundle.kernel.key):
            self._take_out(bundle)
        self.empty_bin()

    def withdraw(self, key: str, paths: Collection[str], *, at_once: bool = True) -> Bundle | None:
        """Take files out of a kernel's manifest, then from the disk; what is held now, None:
        nothing.

        Raises `Busy` as `evict`, unless it shall wait, and whether somebody uses it or not.
        """
        with self._alone(key) if at_once else self._patiently(key):
            bundle = read_manifest(self._tree.manifest(key))
            if bundle is None:
                return None
            gone = replace(bundle, files=tuple(f for f in bundle.files if f.path in paths))
            copy = bundle.prepared if bundle.prepared and bundle.prepared.path in paths else None
            kept = tuple(file for file in bundle.files if file.path not in paths)
            modules = any(file.role is FileRole.MODULE for file in gone.files)
            bundle = replace(
                bundle,
                files=kept,
                all_modules=bundle.all_modules and not modules,
                prepared=None if copy else bundle.prepared,
            )
            self._links.remove(gone)
            write_atomic(self._tree.manifest(key), encode(bundle))
            self._files.put(bundle, stamp_of(self._tree.manifest(key)))
            withdrawn = (*gone.files, *([copy] if copy else ()))
            self._bin(self._tree.folder(key) / file.path for file in withdrawn)
        self.empty_bin()
        return bundle

    def drop_packages(self, key: str) -> None:
        """Remove the packages that a kernel's files came from.  Raises `Busy` as `evict`."""
        with self._alone(key):
            self._bin([self._tree.folder(key) / "packages"])
        self.empty_bin()

    def discard_unfinished(self, key: str) -> None:
        """Remove what lies in a kernel's folder while nothing of it is published."""
        with hold(self._tree.lock(key, "manifest")):
            if not self._tree.manifest(key).exists():
                self._bin([self._tree.folder(key)])
                self._tree.prune(self._tree.folder(key).parent)
        self.empty_bin()

    def empty_bin(self) -> None:
        """Delete what was moved out of the way, by whomever."""
        with contextlib.suppress(OSError):
            for path in self._tree.removed.iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _take_out(self, bundle: Bundle) -> None:
        """The manifest first, so that no reader finds half of it."""
        key = bundle.kernel.key
        self._known.remember(KnownKernel.of(bundle))
        self._tree.manifest(key).unlink(missing_ok=True)
        self._links.remove(bundle)
        self._files.drop(key)
        self._bin([self._tree.folder(key)])
        self._tree.prune(self._tree.folder(key).parent)
        for part in (*PARTS, *ASIDE, USE, "manifest"):
            self._tree.lock(key, part).unlink(missing_ok=True)

    def _bin(self, paths: Iterable[Path]) -> None:
        """Move out of the way what is there of these."""
        self._tree.removed.mkdir(exist_ok=True)
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                path.rename(self._tree.removed / secrets.token_hex(8))

    @contextlib.contextmanager
    def _alone(self, key: str) -> Iterator[None]:
        parts = (*PARTS, *ASIDE, "manifest", USE)
        with hold_at_once(*(self._tree.lock(key, part) for part in parts)):
            yield

    @contextlib.contextmanager
    def _patiently(self, key: str) -> Iterator[None]:
        with contextlib.ExitStack() as locks:
            for part in (*PARTS, "manifest"):
                locks.enter_context(hold(self._tree.lock(key, part)))
            yield
