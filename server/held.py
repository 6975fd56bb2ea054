"""Which of the kernels that a store holds is the one of a fingerprint, and where a twin goes.

Two builds can share distribution, release and version: rebuilds, or another vendor's package
under the same name.  The second one gets a place of its own, marked by what proves it.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import Part, Partial, SymbolsRequest
from kernsym.distros import Fingerprint, Kernel, NotIdentified, Refused, identify
from kernsym.distros.core.own import is_own
from kernsym.server.binaries.verify import VmlinuxIdentity, check
from kernsym.server.jobs.wanted import Wanted
from kernsym.server.scan.lying import lying_kernel

_MARK_DIGITS = 8


def find_held(store: Store, fingerprint: Fingerprint) -> Bundle | None:
    """The bundle that is proven to be of the fingerprint's kernel, whatever it asks for of it.

    A build ID alone, without a banner and a release, may be of a module.  Raises `Refused`
    (`vmlinux-mismatch`, `evidence-missing`) when what is held under the kernel's name is not proven
    to be it, and the fingerprint shows nothing that could tell its twin.
    """
    by_build_id = store.find_build_id(fingerprint.build_id) if fingerprint.build_id else None
    if not _names_a_kernel(fingerprint):
        return by_build_id.bundle if by_build_id else None
    kernel = identify(fingerprint).kernel
    named = store.bundle(kernel) if kernel and kernel.arch else None
    if named is not None and not _is_provable(fingerprint):
        require_same(named, fingerprint)
        return named
    if named is not None and _is_same(named, fingerprint):
        return named
    found = store.bundle(_place_of(store, kernel, fingerprint)) if kernel and named else None
    if found is None and by_build_id is not None:
        found = by_build_id.bundle
    if found is None and fingerprint.banner:
        return _by_banner(store, fingerprint, claimed=kernel is not None)
    return found if found is not None and _is_same(found, fingerprint) else None


def _by_banner(store: Store, fingerprint: Fingerprint, *, claimed: bool) -> Bundle | None:
    """The kernel with the banner of a fingerprint; of those that somebody added none that a
    distribution claims, whose own has the same banner.

    Raises `NotIdentified` (`ambiguous`) where several were added.
    """
    same = [
        held for held in store.find_banner(fingerprint.banner or "") if _is_same(held, fingerprint)
    ]
    published = [held for held in same if not is_own(held.kernel)]
    if published:
        return published[0]
    if claimed and not fingerprint.build_id:
        return None
    if len(same) > 1:
        raise NotIdentified(
            "ambiguous",
            "several kernels with this banner were added, and no build ID tells which one it is",
            context=tuple(f"{held.kernel.key}  {held.label}".rstrip() for held in same),
            hint="kernsym rm those that are not the dump's",
        )
    return same[0] if same else None


def has(bundle: Bundle, request: SymbolsRequest) -> bool:
    """Whether a bundle holds what a request asks for."""
    if request.part is Part.SOURCES:
        return bundle.first(FileRole.SOURCE_TREE) is not None
    if request.part is Part.CHECK:
        return not bundle.unchecked
    if request.partial is Partial.NO and bundle.withheld:
        return False
    wanted = Wanted()
    wanted.add(request.modules, everything=request.all_modules)
    return wanted.satisfied_by(bundle)


def only_build_id(fingerprint: Fingerprint) -> str:
    """The build ID where that is all that is known of a kernel, else ""."""
    alone = not _names_a_kernel(fingerprint) and not fingerprint.vmcoreinfo
    return (fingerprint.build_id or "") if alone else ""


def fingerprint_of(bundle: Bundle) -> Fingerprint:
    """What only the kernel of a bundle shows."""
    shown = bundle.verification
    return Fingerprint(banner=shown.banner, build_id=shown.build_id)


def _names_a_kernel(fingerprint: Fingerprint) -> bool:
    return bool(fingerprint.banner or fingerprint.release or fingerprint.package)


def kernels_of(store: Store, fingerprint: Fingerprint) -> tuple[tuple[Kernel, ...], bool]:
    """The kernel to bring for a fingerprint, in its place in the store: the one that is held or
    certain, or the candidates that something can prove; and whether it is certain.  What nobody
    publishes may lie in a folder that was scanned.

    Raises `NotIdentified` (`ambiguous`, `unsupported`, `unknown`, `arch-unknown`), and as
    `find_held`.
    """
    held = find_held(store, fingerprint)
    if held is not None:
        return (held.kernel,), True
    try:
        kernels, certain = identified(fingerprint)
    except NotIdentified:
        lying = lying_kernel(store, fingerprint)
        if lying is None:
            raise
        return (lying,), True
    return tuple(_place_of(store, kernel, fingerprint) for kernel in kernels), certain


def identified(fingerprint: Fingerprint) -> tuple[tuple[Kernel, ...], bool]:
    """The kernel of a fingerprint, or its candidates; whether it is certain.  Raises as
    `kernels_of`, of which it is the part that does not look at the store."""
    verdict = identify(fingerprint)
    possible = verdict.possible if _is_provable(fingerprint) else ()
    kernels = (verdict.kernel,) if verdict.kernel else possible
    if not kernels:
        raise NotIdentified(
            verdict.outcome.value,
            verdict.reason,
            context=verdict.evidence,
            hint="kernsym identify shows what was found and why",
        )
    known = tuple(kernel for kernel in kernels if kernel.arch is not None)
    if not known:
        raise NotIdentified(
            "arch-unknown", f"the evidence does not tell the architecture of {kernels[0].uname}"
        )
    return known, verdict.kernel is not None


def _place_of(store: Store, kernel: Kernel, fingerprint: Fingerprint) -> Kernel:
    """The kernel, or itself as a twin when the store holds another build in its place."""
    held = store.bundle(kernel)
    if held is None or not _is_provable(fingerprint) or _is_same(held, fingerprint):
        return kernel
    banner = (fingerprint.banner or "").encode()
    mark = fingerprint.build_id or hashlib.sha256(banner).hexdigest()
    return replace(kernel, twin=mark[:_MARK_DIGITS])


def packages_of_twin(store: Store, kernel: Kernel) -> frozenset[str | None]:
    """The digests of the packages that a twin's place is known not to be filled from."""
    held = store.bundle(replace(kernel, twin="")) if kernel.twin else None
    return frozenset(ref.digest for ref in held.packages if ref.digest) if held else frozenset()


def _is_same(bundle: Bundle, fingerprint: Fingerprint) -> bool:
    """Whether a bundle is proven to be of the fingerprint's kernel."""
    try:
        require_same(bundle, fingerprint)
    except Refused:
        return False
    return True


def require_same(bundle: Bundle, fingerprint: Fingerprint, *, by_name: bool = True) -> None:
    """Raises `Refused` as `verify.check` unless a bundle is of the fingerprint's kernel."""
    shown = bundle.verification
    identity = VmlinuxIdentity(banner=shown.banner, build_id=shown.build_id, symbols=shown.symbols)
    check(fingerprint, identity, by_name=by_name, kernel=bundle.kernel)


def _is_provable(fingerprint: Fingerprint) -> bool:
    return bool(fingerprint.banner or fingerprint.build_id)
