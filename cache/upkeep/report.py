"""What a store holds and takes, as `kernsym du` shows it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass

from kernsym.cache.marks import Gone, Pin
from kernsym.cache.store import Store
from kernsym.cache.upkeep.limits import Limits
from kernsym.cache.upkeep.survey import is_in_use
from kernsym.cache.usage import Usage, shared_usage, usage_of


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelUsage:
    """A kernel: bytes of its pieces; when it was last used, in seconds since the epoch."""

    usage: Usage
    last_use: float
    in_use: bool
    pin: Pin | None = None
    gone: Gone | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUsage:
    """`shared`: bytes of what belongs to no kernel, by the name of its folder.  `total` of all,
    `free` on its disk."""

    kernels: tuple[KernelUsage, ...]
    shared: dict[str, int]
    total: int
    free: int
    limits: Limits


def store_usage(store: Store, limits: Limits) -> StoreUsage:
    """Look through a store.  Raises `OSError`."""
    kernels = []
    for bundle in store.bundles():
        key = bundle.kernel.key
        kernels.append(
            KernelUsage(
                usage=usage_of(store.tree, store.index, bundle),
                last_use=store.uses.last_use(key),
                in_use=is_in_use(store, key),
                pin=store.marks.pinned(key),
                gone=store.marks.gone(key),
            )
        )
    shared = shared_usage(store.tree)
    return StoreUsage(
        kernels=tuple(kernels),
        shared=shared,
        total=sum(kernel.usage.total for kernel in kernels) + sum(shared.values()),
        free=shutil.disk_usage(store.root).free,
        limits=limits,
    )
