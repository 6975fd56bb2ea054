"""Kernels that lie in scanned folders, outside of packages: copied from there, once checked."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from kernsym.distros import Refused
from kernsym.server.binaries import elf
from kernsym.server.binaries.dwarf import source_prefix
from kernsym.server.binaries.verify import check, read_identity
from kernsym.server.bring.work import ROOT, publish
from kernsym.server.disk import require_room, writing
from kernsym.server.jobs import Job
from kernsym.server.scan.lying import lying_vmlinux

_PIECE = 1 << 20


def take_lying(store: Store, job: Job, held: Bundle | None) -> Bundle | None:
    """What a scanned folder has of a job's kernel, held from now on; None: it has none.

    vmlinux is compared with the job's fingerprint before anything else.  In a thread: waits for
    those who say which modules they want when they have seen it.
    Raises `Unusable` (`disk-full`).
    """
    lying = lying_vmlinux(store, job.fingerprint)
    if lying is None:
        return held
    root = store.folder(job.kernel) / ROOT
    try:
        bundle = held or _take_vmlinux(store, job, lying.path, root)
    except (Refused, OSError) as error:  # it is another by now; packages may have it
        job.stage("refused", f"{lying.path}: {error}")
        return None
    job.wanted.settle()
    names, have = job.wanted.names(), {file.name for file in bundle.files}
    modules = tuple(
        _copied(path, root, f"modules/{path.name}", FileRole.MODULE, name)
        for name, path in dict(store.scanned.modules_of(lying.path, job.kernel.uname)).items()
        if name not in have and (name in names or job.wanted.everything)
    )
    bundle = bundle.with_files(modules)
    publish(store, bundle)
    job.stage("folder", f"{lying.path.parent}: {len(modules)} modules")
    return bundle


def without_the_rest(store: Store, job: Job, bundle: Bundle) -> None:
    """Note that nobody has the other modules that are wanted."""
    lacking = job.wanted.names() - set(bundle.modules())
    publish(store, replace(bundle.with_files((), tuple(lacking)), all_modules=True))


def _take_vmlinux(store: Store, job: Job, path: Path, root: Path) -> Bundle:
    file = _copied(path, root, "vmlinux", FileRole.VMLINUX)
    vmlinux = root / "vmlinux"
    verification = check(job.fingerprint, read_identity(vmlinux), kernel=job.kernel)
    job.stage("vmlinux", f"verified: {verification.words}")
    job.vmlinux(f"{ROOT}/vmlinux")
    return Bundle(
        kernel=replace(job.kernel, build_id=verification.build_id),
        verification=verification,
        packages=(),
        files=(file,),
        source_prefix=source_prefix(vmlinux),
    )


def _copied(path: Path, root: Path, name: str, role: FileRole, module: str = "") -> BundleFile:
    """A file copied to its place: the folder may be built in again."""
    target = root / name
    require_room(root, path.stat().st_size)
    digest, size = hashlib.sha256(), 0
    beside = target.with_name(f".{target.name}.part")
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with path.open("rb") as file, beside.open("wb") as out:
            while piece := file.read(_PIECE):
                digest.update(piece)
                size += out.write(piece)
        os.replace(beside, target)  # noqa: PTH105
    return BundleFile(
        role=role,
        path=f"{ROOT}/{name}",
        size=size,
        sha256=digest.hexdigest(),
        package="",
        name=module,
        build_id=elf.build_id(target),
    )
