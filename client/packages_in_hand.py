"""Packages that somebody has brought as files: their kernels, taken into the store."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, Store
from kernsym.client.holdings import Holdings, open_holdings
from kernsym.client.settings import Settings
from kernsym.distros import (
    CouldNotFindOut,
    Fingerprint,
    Kernel,
    NotPublished,
    Unusable,
    identify_package,
)

# Of two file systems, and of those that do not know the call.
_CANNOT_SHARE = (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


def take_in(settings: Settings, files: Sequence[Path]) -> Iterator[Bundle]:
    """Bring the kernels whose debug packages are among the files, from these alone; packages of
    sources that lie beside them are unpacked too.  The packages are kept in the store, so that
    further modules can be taken from them.

    Raises `Unusable` (`not-local`, `no-kernel-package`, `file-unreadable`) and as `Holdings`.
    """
    if settings.server_url():
        raise Unusable(
            "not-local",
            "packages are taken into the store of this machine only",
            hint="put them into a folder that is a [[source]] of the server",
        )
    kernels = _kernels(files)
    if not kernels:
        raise Unusable(
            "no-kernel-package",
            f"{files[0].name} is not the debug package of a kernel, by its name",
            hint="kernsym identify NAME says what a package is; kernsym scan takes any name",
        )
    with tempfile.TemporaryDirectory(prefix="kernsym-packages-") as name:
        folder = Path(name)
        for file in files:
            if not file.is_file():
                raise Unusable("file-unreadable", f"{file} is no file that can be read")
            (folder / file.name).symlink_to(file.absolute())
        with open_holdings(replace(settings, offline=True), folder) as holdings:
            for package in kernels.values():
                bundle = _bring(holdings, Fingerprint(package=package), len(files) > len(kernels))
                _keep(holdings.store, bundle, folder)
                yield bundle


def _kernels(files: Sequence[Path]) -> dict[Kernel, str]:
    """The name of a package of each kernel."""
    found: dict[Kernel, str] = {}
    for file in files:
        verdict = identify_package(file.name)
        if verdict is not None and verdict.kernel is not None:
            found.setdefault(verdict.kernel, file.name)
    return found


def _bring(holdings: Holdings, fingerprint: Fingerprint, more: bool) -> Bundle:
    """vmlinux, and the sources where there are further packages."""
    bundle = holdings.symbols(fingerprint, ())
    if more:
        try:
            return holdings.sources(fingerprint)
        except (NotPublished, CouldNotFindOut) as error:
            holdings.reporter.detail("sources", error.message)
    return bundle


def _keep(store: Store, bundle: Bundle, folder: Path) -> None:
    """Copy the packages of the kernel's modules from the folder into the store."""
    held = {ref.package.id: ref for ref in bundle.packages}
    for ref in held.values():
        name = ref.url.rpartition("/")[2]
        source, target = folder / name, store.package_path(bundle.kernel, ref)
        if ref.url.startswith(folder.as_uri()) and source.is_file() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.part")
            try:
                _copy(source, beside)
                beside.replace(target)
            finally:
                beside.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    """Their blocks are shared where the file system can do that (btrfs, XFS), else copied by the
    kernel where that can: copy_file_range(2)."""
    with source.open("rb") as reader, target.open("wb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left and (size := os.copy_file_range(reader.fileno(), writer.fileno(), left)):
                left -= size
        except OSError as error:
            if error.errno not in _CANNOT_SHARE:
                raise
            shutil.copyfileobj(reader, writer)
