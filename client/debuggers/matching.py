"""Chooses the file for each loaded module, and says why one has none; no I/O."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kernsym.cache import Bundle, BundleFile
from kernsym.client.debuggers.modules import LoadedModule
from kernsym.distros import normalise_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """`chosen`: the modules that have their file.  `missing`: the others, each with the reason.

    `by_name`: those of `chosen` whose build ID the dump does not show, so that only the names are
    known to be equal.
    """

    chosen: tuple[tuple[LoadedModule, BundleFile], ...]
    missing: tuple[tuple[LoadedModule, str], ...]
    by_name: tuple[LoadedModule, ...] = ()


def match_modules(modules: Iterable[LoadedModule], bundle: Bundle) -> Matching:
    """The bundle's file of equal build ID for each module.

    Where the dump shows no build ID the name decides, unless the kernel's taints say that the
    module is none of the package.
    """
    files = bundle.modules()
    chosen: list[tuple[LoadedModule, BundleFile]] = []
    missing: list[tuple[LoadedModule, str]] = []
    for module in modules:
        candidates = files.get(normalise_module(module.name), ())
        file = _choose(module, candidates)
        if file is None:
            missing.append((module, _reason(module, candidates)))
        else:
            chosen.append((module, file))
    return Matching(
        chosen=tuple(chosen),
        missing=tuple(missing),
        by_name=tuple(module for module, _ in chosen if module.build_id is None),
    )


def _choose(module: LoadedModule, candidates: tuple[BundleFile, ...]) -> BundleFile | None:
    if module.build_id is not None:
        return next((file for file in candidates if file.build_id == module.build_id), None)
    if not candidates or _foreign(module):
        return None
    # In-tree modules lie under kernel/; updates/ and extra/ hold what replaces them.
    return next((file for file in candidates if "/kernel/" in file.path), candidates[0])


# Taints that a module of the distribution's own kernel package does not have.
_FOREIGN = {"P": "proprietary", "O": "out of tree", "E": "unsigned", "X": "external to the vendor"}


def _foreign(module: LoadedModule) -> str:
    """What the taints say of where the module came from; "" when they say nothing."""
    words = [f"{word} ({letter})" for letter, word in _FOREIGN.items() if letter in module.taints]
    return ", ".join(words)


def _reason(module: LoadedModule, candidates: tuple[BundleFile, ...]) -> str:
    foreign = _foreign(module)
    if candidates and module.build_id is not None:
        held = " or ".join(file.build_id or "without one" for file in candidates)
        other = f"other build ID: dump {module.build_id}, package {held}"
        return f"{other}; {foreign}" if foreign else other
    return foreign or "not in the package"
