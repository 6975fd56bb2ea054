"""Where a bundle that comes from elsewhere goes in a store."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from kernsym.cache.bundle import Bundle
from kernsym.cache.store import Store


def placed(store: Store, bundle: Bundle) -> Bundle:
    """The bundle with its place in this store, which may hold a twin where the server has none."""
    held, verified = store.bundle(bundle.kernel), bundle.verification
    if held is None or held.verification.is_same_build(verified):
        return bundle
    known = f"{verified.banner} {sorted(verified.symbols.items())}".encode()
    mark = verified.build_id or hashlib.sha256(known).hexdigest()
    return replace(bundle, kernel=replace(bundle.kernel, twin=mark[:8]))
