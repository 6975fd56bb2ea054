"""Mends what an inspection found, as far as the store itself can; what has to be fetched again is
taken out of the manifests first."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from kernsym.cache.bundle import Bundle, BundleFile, FileRole
from kernsym.cache.links import BuildIdLinks
from kernsym.cache.locks import Busy, hold_at_once
from kernsym.cache.removal import PARTS
from kernsym.cache.store import Store
from kernsym.cache.upkeep.inspection import Fault, Finding
from kernsym.cache.upkeep.survey import can_come_again
from kernsym.distros import Fingerprint

_SUPERFLUOUS = (Fault.PACKAGE, Fault.LEFT_OVER)  # to remove them is to mend them


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What was withdrawn of a kernel and has to be fetched again.

    `fingerprint`: what tells the kernel.  `modules`: their names.  `pin`: the reason of its pin,
    None: it was not pinned.
    """

    kernel: str
    fingerprint: Fingerprint
    modules: tuple[str, ...] = ()
    all_modules: bool = False
    sources: bool = False
    pin: str | None = None


def repair_kernel(
    store: Store, bundle: Bundle, findings: Sequence[Finding]
) -> tuple[Lost | None, list[Finding]]:
    """Mend a kernel; what is lost, and what could not be mended.  Raises `OSError`."""
    if any(finding.fault in _SUPERFLUOUS for finding in findings):
        _drop_superfluous(store, bundle, findings)
    if any(finding.fault is Fault.LINK for finding in findings):
        BuildIdLinks(store.tree).put(bundle)
    stays = [finding for finding in findings if finding.fault is Fault.UNREADABLE]
    folder = store.folder(bundle.kernel)
    damaged = {
        str((store.root / finding.path).relative_to(folder))
        for finding in findings
        if finding.fault in (Fault.FILE, Fault.COPY)
    }
    if not damaged:
        return None, stays
    files = [file for file in bundle.files if file.path in damaged]
    if files and not can_come_again(bundle):
        return None, [*stays, *(f for f in findings if f.fault is Fault.FILE)]
    lost = _lost(store, bundle, files)
    store.marks.unpin(bundle.kernel.key)
    if _is_whole_kernel(files):
        store.removal.remove(bundle)
    else:
        store.removal.withdraw(bundle.kernel.key, damaged, at_once=False)
    return (lost if files else None), stays


def repair_rest(store: Store, findings: Sequence[Finding]) -> list[Finding]:
    """Mend what is beside the kernels; what could not be mended.  Raises `OSError`."""
    stays = []
    for finding in findings:
        path = store.root / finding.path
        if finding.fault is Fault.LEFT_OVER and finding.kernel:
            shutil.rmtree(path, ignore_errors=True)
            store.tree.prune(path.parent)
        elif finding.fault is Fault.LINK or finding.fault is Fault.MANIFEST:
            path.unlink(missing_ok=True)  # without its manifest a kernel is begun anew
        elif finding.fault is Fault.UNREADABLE:
            stays.append(finding)
    store.removal.empty_bin()
    store.mend_index()
    return stays


def _drop_superfluous(store: Store, bundle: Bundle, findings: Sequence[Finding]) -> None:
    """Unless somebody works on the kernel: then it is not left over."""
    locks = (store.tree.lock(bundle.kernel.key, part) for part in PARTS)
    with contextlib.suppress(Busy), hold_at_once(*locks):
        for finding in findings:
            if finding.fault in _SUPERFLUOUS:
                (store.root / finding.path).unlink(missing_ok=True)


def _is_whole_kernel(files: Sequence[BundleFile]) -> bool:
    """Whether nothing is of use without these."""
    return any(file.role not in (FileRole.MODULE, FileRole.SOURCE_TREE) for file in files)


def _lost(store: Store, bundle: Bundle, files: Sequence[BundleFile]) -> Lost:
    shown, pin = bundle.verification, store.marks.pinned(bundle.kernel.key)
    gone = bundle.files if _is_whole_kernel(files) else files
    return Lost(
        kernel=bundle.kernel.key,
        fingerprint=Fingerprint(banner=shown.banner, build_id=shown.build_id),
        modules=tuple(sorted({f.name for f in gone if f.role is FileRole.MODULE})),
        all_modules=bundle.all_modules,
        sources=any(file.role is FileRole.SOURCE_TREE for file in gone),
        pin=pin.reason if pin else None,
    )
