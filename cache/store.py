"""The store: one folder per kernel that a person can `ls`, and links by build ID beside it.

    STORE/kernels/<distro>/<arch>/<uname>/<version>/manifest.json   written last: what is held
                                                    root/...        files under their package paths
                                                    packages/...    the packages they came from
    STORE/.build-id/xx/yyyy.debug                   links that gdb, perf, eu-* and drgn follow
    STORE/index/                                    of files (cache/file_index.py), small facts,
                                                    folders that were scanned (cache/scanned.py)
    STORE/known/                                    build IDs that are not held (known_members.py)
    STORE/locks/                                    one file per kernel and part (cache/locks.py)
    STORE/format                                    the version of all this (cache/format.py)
    STORE/removed/                                  what is just being deleted (cache/removal.py)

A folder without a manifest is unfinished work; the next run goes on with it.  The manifests are the
truth.  Look-ups go by the index, whose rows tell which state of a manifest they are from, so that
one `stat` shows whether they hold; then by the links, which need nothing but the folders.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from pathlib import Path

from kernsym.cache.atomic import write_atomic
from kernsym.cache.bundle import Bundle, BundleFile, encode
from kernsym.cache.durable import make_durable
from kernsym.cache.file_index import FileIndex
from kernsym.cache.format import migrate
from kernsym.cache.held import Held
from kernsym.cache.index import Index
from kernsym.cache.known_members import KnownMembers
from kernsym.cache.links import BuildIdLinks
from kernsym.cache.locks import hold
from kernsym.cache.manifests import Manifests, read_manifest, stamp_of
from kernsym.cache.marks import Marks
from kernsym.cache.package_forms import index_of
from kernsym.cache.publications import Publications
from kernsym.cache.removal import Removal
from kernsym.cache.scanned import Scanned
from kernsym.cache.sharing import share_with_group
from kernsym.cache.tree import Tree, is_key
from kernsym.cache.uses import Uses
from kernsym.distros import Kernel, KernsymError, PackageRef, Refused, Unusable

_BUILD_ID = re.compile(r"(?:[0-9a-f]{2}){4,}")


class Store:
    """The store in `root`, made if need be.  Raises `Unusable` (`store-unusable`, `store-newer`).

    Where its folder is shared with a group, the process writes for that group from then on.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.tree = Tree(self.root)
        self._links = BuildIdLinks(self.tree)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            share_with_group(self.root)
            self.tree.kernels.mkdir(exist_ok=True)
            migrate(self.tree)
            self.index = Index(self.root / "index")
            self.files = FileIndex(self.root / "index", self.root / "locks" / "index")
            self.known = KnownMembers(
                self.root / "known", self.root / "index", self.root / "locks" / "known"
            )
            self.scanned = Scanned(self.root / "index", self.root / "locks" / "scanned")
            self.publications = Publications(self.root / "catalog", self.root / "locks" / "catalog")
            self._manifests = Manifests()
            self.removal = Removal(self.tree, self._links, self.files, self.known)
            self.uses = Uses(self.tree)
            self.marks = Marks(self.tree)
        except OSError as error:
            raise Unusable(
                "store-unusable",
                f"the store {self.root} cannot be used: {error.strerror}",
                hint="name another folder with --store or KERNSYM_STORE",
            ) from error

    def close(self) -> None:
        self.uses.close()
        self.index.close()
        self.files.close()
        self.known.close()
        self.scanned.close()

    def folder(self, kernel: Kernel) -> Path:
        """The kernel's folder, whether or not anything is held."""
        return self.tree.folder(kernel.key)

    def lock(
        self,
        kernel: Kernel,
        part: str,
        *,
        on_wait: Callable[[int | None], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[None]:
        """Work on one part (`symbols`, `sources`, `manifest`) of a kernel, alone on this host."""
        return hold(self.tree.lock(kernel.key, part), on_wait=on_wait, stop=stop)

    def bundle(self, kernel: Kernel) -> Bundle | None:
        """What is held for a kernel, or None."""
        return self._manifests.read(self.tree.manifest(kernel.key))

    def bundle_by_key(self, key: str) -> Bundle | None:
        """What is held under `<distro>/<arch>/<uname>/<version>`; None for any other text."""
        return self._manifests.read(self.tree.manifest(key)) if is_key(key) else None

    def bundles(self, wanted: Callable[[str], bool] = lambda key: True) -> Iterator[Bundle]:
        """What is held of the kernels whose keys are `wanted`, in the order of the keys.  Broken
        manifests are passed over."""
        for key in filter(wanted, self.tree.held_keys()):
            with suppress(KernsymError):
                bundle = read_manifest(self.tree.manifest(key))
                if bundle is not None:
                    yield bundle

    def publish(self, bundle: Bundle) -> Bundle:
        """Add to what is held, and make it visible: links first, then the manifest, then the index.

        Another process may have published meanwhile, so its files are merged, not lost.  Raises
        `Refused` (`twin-held`) when those are of another build.
        """
        kernel = bundle.kernel
        self.uses.note(kernel.key)
        self._keep_over_power_loss(bundle)
        with self.lock(kernel, "manifest"):
            held = self.bundle(kernel)
            if held is not None:
                _require_same_build(held, bundle)
                packages = {ref.package.id: ref for ref in (*held.packages, *bundle.packages)}
                marks = {mark.package: mark for mark in (*held.unchecked, *bundle.unchecked)}
                bundle = replace(
                    held.with_files(bundle.files, bundle.absent),
                    packages=tuple(packages.values()),
                    all_modules=held.all_modules or bundle.all_modules,
                    source_prefix=held.source_prefix or bundle.source_prefix,
                    prepared=bundle.prepared or held.prepared,
                    unchecked=tuple(marks.values()),
                )
            self._write(bundle)
        return bundle

    def mark_checked(self, kernel: Kernel, package: str) -> None:
        """The whole of a package has come, as it was published: its files are as any others."""
        with self.lock(kernel, "manifest"):
            held = self.bundle(kernel)
            if held is not None:
                left = tuple(mark for mark in held.unchecked if mark.package != package)
                self._write(replace(held, unchecked=left))

    def _write(self, bundle: Bundle) -> None:
        """Make a bundle visible; the manifest's lock is held."""
        self._links.put(bundle)
        manifest = self.tree.manifest(bundle.kernel.key)
        write_atomic(manifest, encode(bundle))
        self.files.put(bundle, stamp_of(manifest))

    def _keep_over_power_loss(self, bundle: Bundle) -> None:
        """Have the disk keep the files that no manifest promises yet."""
        held, folder = self.bundle(bundle.kernel), self.folder(bundle.kernel)
        promised = set(held.files) if held else set()
        new = [folder / file.path for file in bundle.files if file not in promised]
        if bundle.prepared and (held is None or held.prepared != bundle.prepared):
            new.append(folder / bundle.prepared.path)
        make_durable(new, below=self.tree.kernels)

    def find_build_id(self, build_id: str) -> Held | None:
        """The file with this build ID (lower-case hex), if it is published.  Takes microseconds."""
        if not _BUILD_ID.fullmatch(build_id):
            return None
        found = self.files.find(build_id)
        if found is not None:
            manifest = self.tree.manifest(found.key)
            if stamp_of(manifest) == found.stamp:
                path = manifest.parent / found.file.path
                return self._held(found.key, found.file, path)
            self._index(found.key)
        return self._find_by_link(build_id)

    def has_link(self, build_id: str) -> bool:
        """Whether a file with this build ID was published, or is just coming or going: quickly."""
        return self._links.has(build_id)

    def _find_by_link(self, build_id: str) -> Held | None:
        """The same where the index does not know it, or no longer; the index learns of it."""
        found = self._links.follow(build_id)
        if found is None:
            return None
        key, path = found
        name = str(path.relative_to(self.tree.folder(key).resolve()))
        bundle = self.bundle_by_key(key)
        file = next((file for file in bundle.files if file.path == name), None) if bundle else None
        if file is None:
            return None
        self._index(key)
        return self._held(key, file, path)

    def find_banner(self, banner: str) -> tuple[Bundle, ...]:
        """What is held of the kernels with exactly this banner, in the order of their keys."""
        listed = (self.bundle_by_key(key) for key in self.files.keys_of_banner(banner))
        found = tuple(held for held in listed if held and held.verification.banner == banner)
        if found or self.files.complete:
            return found
        return tuple(held for held in self.bundles() if held.verification.banner == banner)

    def mend_index(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Bring the file index into line with the manifests: all of them where it was lost, else
        those that a killed process left out.  Takes a `stat` for each kernel, and some 50 ms for
        each that is read; ends early when `stop()`."""
        with suppress(OSError), hold(self.root / "locks" / "mending", stop=stop):
            stamps = self.files.stamps()
            for key in self.tree.held_keys():
                if stop():
                    return
                if stamps.pop(key, "") != stamp_of(self.tree.manifest(key)):
                    self._index(key)
            for key in stamps:
                self._index(key)
            self.files.set_complete(time.time())
            self.known.mend(stop)

    def _index(self, key: str) -> None:
        """Make the index right for one kernel, unless somebody is publishing it just now."""
        manifest = self.tree.manifest(key)
        lock = hold(self.tree.lock(key, "manifest"), stop=lambda: True)
        with suppress(OSError, KernsymError), lock:
            stamp = stamp_of(manifest)
            bundle = read_manifest(manifest)
            if bundle is None:
                self.files.drop(key)
            else:
                self.files.put(bundle, stamp)

    def package_path(self, kernel: Kernel, ref: PackageRef) -> Path:
        """Where a package is kept while members may still be wanted from it."""
        return self.folder(kernel) / "packages" / ref.package.id

    def index_path(self, kernel: Kernel, ref: PackageRef) -> Path:
        """Where a pass leaves what the next needs to find members in the package."""
        return index_of(self.package_path(kernel, ref))

    def remove(self, bundle: Bundle) -> None:
        """Remove a kernel.  Its build IDs stay known.  Raises `Unusable` (`pinned`)."""
        pin = self.marks.pinned(bundle.kernel.key)
        if pin is not None:
            raise Unusable(
                "pinned",
                f"{bundle.kernel.key} is pinned" + (f": {pin.reason}" if pin.reason else ""),
                hint="kernsym unpin KERNEL lets it go",
            )
        self.removal.remove(bundle)

    def discard_unfinished(self, kernel: Kernel) -> None:
        """Remove what lies in a kernel's folder while nothing of it is published."""
        self.removal.discard_unfinished(kernel.key)

    def _held(self, key: str, file: BundleFile, path: Path) -> Held:
        return Held(key=key, file=file, path=path, read=lambda: self.bundle_by_key(key))


def _require_same_build(held: Bundle, bundle: Bundle) -> None:
    mine, theirs = bundle.verification, held.verification
    if not mine.is_same_build(theirs):
        raise Refused(
            "twin-held",
            f"another build is held as {held.kernel.key}",
            context=(
                f"held  {theirs.banner} {theirs.build_id}",
                f"this  {mine.banner} {mine.build_id}",
            ),
            hint="run again: the second one gets a place of its own",
        )
