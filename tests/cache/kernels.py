"""Kernels in a store, with files, packages and sources of chosen sizes, for tests of its life."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from kernsym.distros import Kernel
from tests import elf_writer
from tests.cache.test_store import KERNEL, PACKAGE, REF, bundle

BLOCK = 1_000_000
DAY = 86_400.0


def publish(store: Store, number: int, *, sources: bool = True, packages: bool = True) -> Bundle:
    """A kernel of one block for each: vmlinux, sources, the package that they came from."""
    kernel = replace(KERNEL, version=f"6.1.7-{number}")
    folder = store.folder(kernel)
    vmlinux = elf_writer.vmlinux(build_id=f"{number:040x}") + os.urandom(BLOCK)
    files = [_write(store, kernel, "root/vmlinux", vmlinux, f"{number:040x}")]
    if sources:
        (folder / "root/src").mkdir()
        (folder / "root/src/a.c").write_bytes(bytes(BLOCK))
        files.append(
            BundleFile(
                role=FileRole.SOURCE_TREE,
                path="root/src",
                size=BLOCK,
                sha256="",
                package=PACKAGE.id,
            )
        )
    ref = replace(REF, size=BLOCK)
    made = replace(bundle(*files), kernel=kernel, packages=(ref,))
    made = replace(made, verification=replace(made.verification, build_id=f"{number:040x}"))
    if packages:
        path = store.package_path(kernel, ref)
        path.parent.mkdir()
        path.write_bytes(bytes(BLOCK))
    published = store.publish(made)
    store.uses.let_go()
    return published


def used_before(store: Store, held: Bundle, days: float) -> None:
    """Have a kernel look as if it was last used so long ago."""
    then = time.time() - days * DAY
    os.utime(store.uses.path(held.kernel.key), (then, then))


def _write(store: Store, kernel: Kernel, path: str, content: bytes, build_id: str) -> BundleFile:
    target = store.folder(kernel) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)
    return BundleFile(
        role=FileRole.VMLINUX,
        path=path,
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        package=PACKAGE.id,
        build_id=build_id,
    )
