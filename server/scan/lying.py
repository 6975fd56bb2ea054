"""Which kernel of a scanned folder, outside of packages, is the one of a fingerprint."""

from __future__ import annotations

from kernsym.cache import Store
from kernsym.cache.scanned import ScannedFile
from kernsym.distros import Fingerprint, Kernel, KernsymError
from kernsym.distros.core.own import own_kernel
from kernsym.server.binaries import elf


def lying_vmlinux(store: Store, fingerprint: Fingerprint) -> ScannedFile | None:
    """The vmlinux in a scanned folder that has the banner and the build ID of a fingerprint."""
    if not (fingerprint.banner or fingerprint.build_id):
        return None
    return store.scanned.find_vmlinux(fingerprint.banner, fingerprint.build_id)


def lying_kernel(store: Store, fingerprint: Fingerprint) -> Kernel | None:
    """The kernel of that vmlinux, as an own build."""
    found = lying_vmlinux(store, fingerprint)
    if found is None:
        return None
    try:
        return own_kernel(found.banner, found.kernel_build_id, elf.machine(found.path))
    except (KernsymError, OSError):
        return None
