"""What is known of kernels that no distribution claims: those that somebody added to a store."""

from __future__ import annotations

from kernsym.cache.bundle import Bundle
from kernsym.cache.store import Store
from kernsym.distros import Fingerprint, Outcome, Verdict
from kernsym.distros.core.own import is_own


def with_own_builds(store: Store, fingerprint: Fingerprint, verdict: Verdict) -> Verdict:
    """The verdict on a fingerprint; where no distribution is certain, the kernel that somebody
    added with this banner or build ID."""
    if verdict.kernel is not None:
        return verdict
    found = _find(store, fingerprint)
    if found is None:
        return verdict
    called = f", called {found.label}" if found.label else ""
    return Verdict(
        outcome=Outcome.IDENTIFIED,
        reason=f"somebody added this very kernel to the store{called}",
        evidence=tuple(filter(None, (fingerprint.build_id or fingerprint.banner,))),
        kernel=found.kernel,
        candidates=(found.kernel.distro,),
        rejected=verdict.rejected,
    )


def _find(store: Store, fingerprint: Fingerprint) -> Bundle | None:
    """The only one that it can be of."""
    same = store.find_banner(fingerprint.banner) if fingerprint.banner else ()
    if fingerprint.build_id and (held := store.find_build_id(fingerprint.build_id)):
        shown = held.bundle.verification
        if shown.build_id == fingerprint.build_id and fingerprint.banner in (None, shown.banner):
            same = (held.bundle,)
    found = [
        bundle
        for bundle in same
        if is_own(bundle.kernel) and fingerprint.build_id in (None, bundle.verification.build_id)
    ]
    return found[0] if len(found) == 1 else None
