"""The store: one folder per kernel that a person can `ls`, and links by build ID beside it.

    STORE/kernels/<distro>/<arch>/<uname>/<version>/manifest.json   written last: what is held
                                                    root/...        files under their package paths
                                                    packages/...    the packages they came from
    STORE/.build-id/xx/yyyy.debug                   links that gdb, perf, eu-* and drgn follow
    STORE/index/                                    small facts (cache/index.py)
    STORE/locks/                                    one file per kernel and part (cache/locks.py)

A folder without a manifest is unfinished work; the next run goes on with it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from kernsym.cache.atomic import replace_link, write_atomic
from kernsym.cache.bundle import Bundle, BundleFile, FileRole, decode, encode
from kernsym.cache.index import Index
from kernsym.cache.locks import hold
from kernsym.distros import Kernel, KernsymError, PackageRef, Unusable

_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A file that the store holds: its bundle, its entry there, its absolute path."""

    bundle: Bundle
    file: BundleFile
    path: Path


class Store:
    """The store in `root`, made if need be.  Raises `Unusable` (`store-unusable`)."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        try:
            (self.root / "kernels").mkdir(parents=True, exist_ok=True)
            self.index = Index(self.root / "index")
        except OSError as error:
            raise Unusable(
                "store-unusable",
                f"the store {self.root} cannot be used: {error.strerror}",
                hint="name another folder with --store or KERNSYM_STORE",
            ) from error

    def close(self) -> None:
        self.index.close()

    def folder(self, kernel: Kernel) -> Path:
        """The kernel's folder, whether or not anything is held."""
        return self.root / "kernels" / kernel.key

    def lock(
        self,
        kernel: Kernel,
        part: str,
        *,
        on_wait: Callable[[int | None], None] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> AbstractContextManager[None]:
        """Work on one part (`symbols`, `sources`, `manifest`) of a kernel, alone on this host."""
        name = f"{kernel.key.replace('/', ',')}.{part}"
        return hold(self.root / "locks" / name, on_wait=on_wait, stop=stop)

    def bundle(self, kernel: Kernel) -> Bundle | None:
        """What is held for a kernel, or None."""
        return self._read(self.folder(kernel) / _MANIFEST)

    def bundle_by_key(self, key: str) -> Bundle | None:
        """What is held under `<distro>/<arch>/<uname>/<version>`; None for any other text."""
        parts = key.split("/")
        if len(parts) != 4 or any(part in ("", ".", "..") or "\0" in part for part in parts):
            return None
        return self._read(self.root.joinpath("kernels", *parts, _MANIFEST))

    def bundles(self) -> Iterator[Bundle]:
        """Everything that is held, in the order of the keys.  Broken manifests are passed over."""
        for path in sorted((self.root / "kernels").glob(f"*/*/*/*/{_MANIFEST}")):
            with suppress(KernsymError):
                bundle = self._read(path)
                if bundle is not None:
                    yield bundle

    def publish(self, bundle: Bundle) -> Bundle:
        """Add to what is held, and make it visible: links first, then the manifest.

        Another process may have published meanwhile, so its files are merged, not lost.
        """
        kernel = bundle.kernel
        with self.lock(kernel, "manifest"):
            held = self.bundle(kernel)
            if held is not None:
                packages = {ref.package.id: ref for ref in (*held.packages, *bundle.packages)}
                bundle = replace(
                    held.with_files(bundle.files, bundle.absent),
                    packages=tuple(packages.values()),
                    all_modules=held.all_modules or bundle.all_modules,
                    source_prefix=held.source_prefix or bundle.source_prefix,
                )
            for file in bundle.files:
                if file.build_id and file.role is not FileRole.STRIPPED:  # its pair has the same
                    replace_link(self._link(file.build_id), self.folder(kernel) / file.path)
            write_atomic(self.folder(kernel) / _MANIFEST, encode(bundle))
        self.index.remember_banner(bundle.verification.banner, kernel.key)
        self.index.touch(kernel.key)
        return bundle

    def find_build_id(self, build_id: str) -> Held | None:
        """The file with this build ID (lower-case hex), if it is published."""
        try:
            path = self._link(build_id).resolve(strict=True)
            inside = path.relative_to(self.root.resolve() / "kernels")
        except (OSError, ValueError):
            return None
        if len(inside.parts) < 5:
            return None
        bundle = self.bundle_by_key("/".join(inside.parts[:4]))
        name = "/".join(inside.parts[4:])
        file = next((file for file in bundle.files if file.path == name), None) if bundle else None
        return Held(bundle=bundle, file=file, path=path) if bundle and file else None

    def find_banner(self, banner: str) -> Bundle | None:
        """What is held for the kernel with exactly this banner."""
        key = self.index.kernel_of_banner(banner)
        bundle = self.bundle_by_key(key) if key else None
        if bundle is not None and bundle.verification.banner == banner:
            return bundle
        return next((held for held in self.bundles() if held.verification.banner == banner), None)

    def package_path(self, kernel: Kernel, ref: PackageRef) -> Path:
        """Where a package is kept while members may still be wanted from it."""
        return self.folder(kernel) / "packages" / ref.package.id

    def remove(self, bundle: Bundle) -> None:
        """Remove a kernel: the manifest first, so that no reader finds half of it."""
        folder = self.folder(bundle.kernel)
        with self.lock(bundle.kernel, "symbols"), self.lock(bundle.kernel, "manifest"):
            with suppress(FileNotFoundError):
                (folder / _MANIFEST).unlink()
            for file in bundle.files:
                if file.build_id:
                    self._unlink_build_id(file.build_id, folder)
            self.index.forget_kernel(bundle.kernel.key, bundle.verification.banner)
            shutil.rmtree(folder, ignore_errors=True)
            self._prune(folder.parent)

    def discard_unfinished(self, kernel: Kernel) -> None:
        """Remove what lies in a kernel's folder while nothing of it is published."""
        with self.lock(kernel, "manifest"):
            folder = self.folder(kernel)
            if not (folder / _MANIFEST).exists():
                shutil.rmtree(folder, ignore_errors=True)
                self._prune(folder.parent)

    def disk_usage(self, kernel: Kernel) -> int:
        """Bytes on disk that a kernel's folder takes, packages and sources included."""
        total = 0
        for folder, _, names in os.walk(self.folder(kernel)):
            for name in names:
                with suppress(OSError):
                    total += os.lstat(f"{folder}/{name}").st_blocks * 512
        return total

    def _link(self, build_id: str) -> Path:
        return self.root / ".build-id" / build_id[:2] / f"{build_id[2:]}.debug"

    def _unlink_build_id(self, build_id: str, folder: Path) -> None:
        """Remove a link, unless another kernel's file has taken it over."""
        link = self._link(build_id)
        if link.is_symlink() and link.resolve().is_relative_to(folder.resolve()):
            link.unlink(missing_ok=True)

    def _prune(self, folder: Path) -> None:
        """Remove folders that have become empty, up to `kernels/`."""
        with suppress(OSError):
            while folder != self.root / "kernels":
                folder.rmdir()
                folder = folder.parent

    def _read(self, manifest: Path) -> Bundle | None:
        try:
            return decode(manifest.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
