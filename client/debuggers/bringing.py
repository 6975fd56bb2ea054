"""A dump's symbols while they are brought in a thread: crash starts as soon as it has vmlinux."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache import Bundle
from kernsym.client.debuggers.opened import OpenedDump
from kernsym.client.holdings import Holdings
from kernsym.distros import Kernel, KernsymError, normalise_module


@dataclass(frozen=True, slots=True, kw_only=True)
class Namelists:
    """What crash opens of a kernel: files that are checked, but not all of them published yet.
    `states`: what changes when one of them is replaced."""

    kernel: Kernel
    paths: tuple[Path, ...]
    states: tuple[tuple[int, ...] | None, ...]

    @classmethod
    def at(cls, kernel: Kernel, paths: tuple[Path, ...]) -> Namelists:
        return cls(kernel=kernel, paths=paths, states=tuple(map(_state, paths)))

    def are_published(self, bundle: Bundle) -> bool:
        """Whether they are the files that the bundle was published with.  A vmlinux that is
        checked may be refused with the rest of its package, and come again from another."""
        same = self.kernel.key == bundle.kernel.key
        return same and None not in self.states and self.states == tuple(map(_state, self.paths))


class Bringing:
    """Brings vmlinux and the loaded modules, or all; begins at once."""

    def __init__(self, dump: OpenedDump, holdings: Holdings, *, all_modules: bool) -> None:
        self._dump = dump
        self._holdings = holdings
        self._all_modules = all_modules
        self._seen: Future[Namelists] = Future()
        self._bundle: Future[Bundle] = Future()
        threading.Thread(target=self._work, name="symbols", daemon=True).start()

    def namelists(self) -> Namelists:
        """What crash can open, as soon as it is known.  Raises what bringing it met."""
        return self._seen.result()

    def bundle(self) -> Bundle:
        """Everything, published.  Raises what bringing it met."""
        return self._bundle.result()

    def _work(self) -> None:
        try:
            bundle = self._bring()
            self._see(bundle.kernel, self._holdings.namelists(bundle))
            self._bundle.set_result(bundle)
        except BaseException as error:  # whoever waits has to hear of it
            for future in (self._seen, self._bundle):
                if not future.done():
                    future.set_exception(error)
            return
        if bundle.usable_copy() is None and self._holdings.shared:
            # The server, which was perhaps not asked for anything, prepares what is used.
            with contextlib.suppress(KernsymError):
                self._holdings.quiet().symbols(self._dump.facts.fingerprint, ())

    def _bring(self) -> Bundle:
        fingerprint = self._dump.facts.fingerprint
        held = self._holdings.proven(fingerprint)
        if held is None:
            return self._holdings.symbols(
                fingerprint,
                self._dump.module_names,
                all_modules=self._all_modules,
                on_vmlinux=self._see,
            )
        self._see(held.kernel, self._holdings.namelists(held))
        names = self._dump.module_names(self._holdings.namelist(held))
        known = {*held.modules(), *held.absent}
        lacking = {normalise_module(name) for name in names} - known
        if lacking or (self._all_modules and not held.all_modules):
            return self._holdings.symbols(fingerprint, names, all_modules=self._all_modules)
        return held

    def _see(self, kernel: Kernel, paths: tuple[Path, ...]) -> None:
        if not self._seen.done():
            self._seen.set_result(Namelists.at(kernel, paths))


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
