"""Looks through a store: what it takes, and what of it could be given up."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kernsym.cache.bundle import Bundle, FileRole
from kernsym.cache.locks import is_held
from kernsym.cache.removal import ASIDE, PARTS
from kernsym.cache.store import Store
from kernsym.cache.upkeep.eviction import Candidate, Room, Step
from kernsym.cache.usage import Piece, Usage, bytes_on_disk, usage_of
from kernsym.distros import PackageRef, Role

# Below the store: copies that are made again or asked for again, oldest first.
SIDE = {Step.ENCODED: "encoded", Step.FOREIGN: "foreign"}
_UNKNOWN_SIZE = 1 << 30  # of a package whose list told none


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found.  `bundles` by key."""

    room: Room
    candidates: tuple[Candidate, ...]
    bundles: dict[str, Bundle]


def survey(store: Store, *, unpublished: bool) -> Survey:
    """Look through a store.  `unpublished`: kernels that nobody publishes any more may go too."""
    bundles: dict[str, Bundle] = {}
    candidates: list[Candidate] = []
    used = 0
    for bundle in store.bundles():
        usage = usage_of(store.tree, store.index, bundle, thorough=False)
        bundles[bundle.kernel.key] = bundle
        used += usage.total
        candidates += _of_kernel(store, bundle, usage, unpublished)
    for step, name in SIDE.items():
        size = bytes_on_disk(store.root / name)
        used += size
        if size:
            candidates.append(Candidate(step=step, size=size, again=0, last_use=0.0))
    used += _rest(store, set(bundles))
    room = Room(used=used, free=shutil.disk_usage(store.root).free)
    return Survey(room=room, candidates=tuple(candidates), bundles=bundles)


_PROOF = "files that came by ranges are to be compared with them"


def is_in_use(store: Store, key: str) -> bool:
    """Whether somebody works on a kernel, or reads its files."""
    locks = (*(store.tree.lock(key, part) for part in (*PARTS, *ASIDE)), store.uses.path(key))
    return any(is_held(path) for path in locks)


def _of_kernel(
    store: Store, bundle: Bundle, usage: Usage, unpublished: bool
) -> Iterator[Candidate]:
    key = bundle.kernel.key
    last_use, stays = store.uses.last_use(key), _why_it_stays(store, bundle, unpublished)
    sources = bundle.first(FileRole.SOURCE_TREE)
    of_sources = sources.package if sources else ""
    packages = [ref for ref in bundle.packages if ref.package.id != of_sources]
    for step, size, again in (
        (Step.PREPARED, _size_of_copy(bundle, usage), 0),
        (Step.PACKAGES, usage.pieces.get(Piece.PACKAGES, 0), _to_download(packages)),
        (
            Step.SOURCES,
            usage.pieces.get(Piece.SOURCES, 0),
            _to_download(ref for ref in bundle.packages if ref.package.id == of_sources),
        ),
        (Step.KERNEL, usage.total, _to_download(packages)),
    ):
        if size:
            proof = _PROOF if step is Step.PACKAGES and bundle.unchecked else ""
            yield Candidate(
                step=step, key=key, size=size, again=again, last_use=last_use, stays=stays or proof
            )


def _size_of_copy(bundle: Bundle, usage: Usage) -> int:
    """0 of one that could not be made again: a client may have it in the place of vmlinux."""
    made_here = bundle.prepared is not None and bundle.first(FileRole.VMLINUX) is not None
    return usage.pieces.get(Piece.PREPARED, 0) if made_here else 0


def _why_it_stays(store: Store, bundle: Bundle, unpublished: bool) -> str:
    key = bundle.kernel.key
    pin = store.marks.pinned(key)
    if pin is not None:
        return f"pinned: {pin.reason}" if pin.reason else "pinned"
    if unpublished:
        return ""
    gone = store.marks.gone(key)
    if gone is not None:
        return f"nobody publishes it any more: {gone.said}" if gone.said else "not published"
    return "" if can_come_again(bundle) else "it cannot be fetched again"


def can_come_again(bundle: Bundle) -> bool:
    """Whether the packages that a kernel's vmlinux came from are published somewhere, as far as one
    can tell without asking: those of a folder lie there still, and it was not carried here."""
    if bundle.carried:
        return False
    needed = [ref for ref in bundle.packages if ref.package.role is not Role.SOURCE]
    return bool(needed) and all(_is_there(ref) for ref in needed)


def _is_there(ref: PackageRef) -> bool:
    address = urlsplit(ref.url)
    if address.scheme == "file":
        return Path(unquote(address.path)).is_file()
    return bool(ref.url)


def _to_download(refs: Iterator[PackageRef] | list[PackageRef]) -> int:
    return sum(ref.size or _UNKNOWN_SIZE for ref in refs if not ref.url.startswith(("file:", "/")))


def _rest(store: Store, held: set[str]) -> int:
    """Bytes of what is neither of a kernel that is held nor a copy: unfinished kernels, indexes."""
    kernels = {str(store.tree.folder(key)) for key in held}
    total = 0
    for parent, folders, names in os.walk(store.tree.kernels):
        folders[:] = [name for name in folders if f"{parent}/{name}" not in kernels]
        total += sum(bytes_on_disk(Path(parent) / name) for name in names)
    with contextlib.suppress(OSError):
        for path in store.root.iterdir():
            if path != store.tree.kernels and path.name not in SIDE.values():
                total += bytes_on_disk(path)
    return total
