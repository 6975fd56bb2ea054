"""Which kernel of a scanned folder, outside of packages, is the one of a fingerprint."""

from __future__ import annotations

from kernsym.cache import Store
from kernsym.cache.scanned import ScannedFile
from kernsym.distros import Fingerprint, Kernel, KernsymError
from kernsym.distros.core.own import own_kernel
from kernsym.distros.formats.own_builds import named_for
from kernsym.server.binaries import elf


def lying_vmlinux(store: Store, fingerprint: Fingerprint) -> ScannedFile | None:
    """The vmlinux in a scanned folder that has the banner and the build ID of a fingerprint."""
    if not (fingerprint.banner or fingerprint.build_id):
        return None
    return store.scanned.find_vmlinux(fingerprint.banner, fingerprint.build_id)


def lying_kernel(store: Store, fingerprint: Fingerprint) -> Kernel | None:
    """The kernel of that vmlinux, or of a package in a scanned folder whose name means the release
    of the fingerprint, as an own build."""
    found = lying_vmlinux(store, fingerprint)
    try:
        if found is not None:
            return own_kernel(found.banner, found.kernel_build_id, elf.machine(found.path))
        if fingerprint.banner is None:
            return None
        arch = fingerprint.arch or fingerprint.machine or "unknown"
        kernel = own_kernel(fingerprint.banner, fingerprint.build_id, arch)
    except (KernsymError, OSError):
        return None
    names = (name for root in store.scanned.roots() for name in store.scanned.names(root))
    return kernel if any(named_for(kernel, name) for name in names) else None
