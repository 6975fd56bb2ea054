"""Symbols on this machine: from the embedded server in place, from a remote one by copy."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import Part, Partial, SymbolsRequest
from kernsym.cache.upkeep import Room, read_limits
from kernsym.client.bring import bring
from kernsym.client.copying import copy_files, copy_sources
from kernsym.client.output import Reporter
from kernsym.client.settings import Settings
from kernsym.distros import Fingerprint, Kernel, KernsymError, distro_of, normalise_module

if TYPE_CHECKING:
    from kernsym.client.server_api import ServerApi

OnVmlinux = Callable[[Kernel, tuple[Path, ...]], None]


@contextlib.contextmanager
def open_holdings(
    settings: Settings, packages: Path | None = None, *, partial: Partial = Partial.NO
) -> Iterator[Holdings]:
    """The holdings of this machine, with the server that the settings name or an embedded one,
    which looks for packages in the folder `packages` first.  It is started when it is asked for
    the first time."""
    guard = threading.Lock()
    with (
        contextlib.closing(Store(settings.store_folder())) as store,
        contextlib.ExitStack() as stack,
    ):
        started: list[ServerApi] = []

        def connect() -> ServerApi:
            with guard:
                if not started:
                    started.append(stack.enter_context(settings.api(packages)))
                return started[0]

        yield Holdings(
            connect=connect,
            room=Room(store=store, limits=read_limits(settings.table())),
            shared=settings.server_url() is None,
            reporter=settings.reporter(),
            partial=partial,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Where the files of kernels come from and lie.

    `connect` gives the server.  `room`: in the store, for what is copied.  `shared`: the server
    works on the store itself, so its files are used in place.  `partial`: whether symbols may be of
    packages that do not come whole.
    """

    connect: Callable[[], ServerApi]
    room: Room
    shared: bool
    reporter: Reporter
    partial: Partial = Partial.NO

    @property
    def store(self) -> Store:
        return self.room.store

    @property
    def api(self) -> ServerApi:
        return self.connect()

    def quiet(self) -> Holdings:
        """The same, without a word."""
        return replace(self, reporter=Reporter(quiet=True))

    def proven(self, fingerprint: Fingerprint) -> Bundle | None:
        """What is held here of the kernel that the fingerprint's build ID and banner prove; None:
        the server may know more."""
        if not fingerprint.build_id or not fingerprint.banner:
            return None
        with contextlib.suppress(KernsymError):
            for bundle in self.store.find_banner(fingerprint.banner):
                self.store.uses.note(bundle.kernel.key)  # so that nobody takes it away
                same = bundle.verification.build_id == fingerprint.build_id
                if same and not bundle.unchecked and all(map(Path.is_file, self.namelists(bundle))):
                    return bundle
        return None

    def symbols(
        self,
        fingerprint: Fingerprint,
        modules: tuple[str, ...] | Callable[[Path], tuple[str, ...]],
        *,
        all_modules: bool = False,
        original: bool = False,
        on_vmlinux: OnVmlinux = lambda kernel, namelists: None,
    ) -> Bundle:
        """vmlinux and modules, here.  `original`: vmlinux itself and not only its prepared copy.

        `modules`: their names, or a function that lists them from the path of the checked
        vmlinux; with a shared store it is called while the package still comes.  Before that
        `on_vmlinux` is told what crash can open already, unless that are two files and the second
        one is not here yet.
        """
        request = SymbolsRequest(
            fingerprint=fingerprint,
            modules=modules if isinstance(modules, tuple) else None if self.shared else (),
            all_modules=all_modules,
            partial=self.partial,
        )
        listed = None if isinstance(modules, tuple) else modules

        def redeem(kernel: Kernel, path: str) -> tuple[str, ...]:
            assert listed is not None
            vmlinux = self.store.folder(kernel) / path
            if distro_of(kernel).layout(kernel).stripped is None:
                on_vmlinux(kernel, (vmlinux,))
            return listed(vmlinux)

        brought = bring(self.api, request, self.reporter, redeem if listed else None)
        bundle = self._here(brought, request, original)
        if listed is not None:
            on_vmlinux(bundle.kernel, self.namelists(bundle))
            names = listed(self.namelist(bundle))
            request = replace(request, modules=names)
            bundle = self._here(bring(self.api, request, self.reporter), request, original)
        for mark in bundle.unchecked:
            then = "is to be checked in the background" if mark.later else "stays unchecked"
            self.reporter.line("unchecked", f"{mark.package}: {mark.words}, and {then}")
        return bundle

    def was_withdrawn(self, bundle: Bundle) -> bool:
        """Whether files that were not checked when they came proved to be wrong since."""
        return bool(bundle.unchecked) and self.store.bundle(bundle.kernel) is None

    def sources(self, fingerprint: Fingerprint) -> Bundle:
        """The source tree, here."""
        request = SymbolsRequest(fingerprint=fingerprint, part=Part.SOURCES)
        bundle = bring(self.api, request, self.reporter)
        if self.shared:
            self.store.uses.note(bundle.kernel.key)
            return bundle
        return copy_sources(self.api, self.room, bundle, self.reporter)

    def path_of(self, bundle: Bundle, role: FileRole) -> Path:
        """The absolute path of the bundle's file for a role that occurs once."""
        file = bundle.first(role)
        if file is None:
            raise KernsymError("not-held", f"the bundle of {bundle.kernel.key} has no {role.value}")
        return self.store.folder(bundle.kernel) / file.path

    def namelist(self, bundle: Bundle) -> Path:
        """The file to open for the kernel's DWARF: the prepared copy of vmlinux if there is one,
        and it lies there whole."""
        copy = bundle.usable_copy()
        if copy is not None:
            path = self.store.folder(bundle.kernel) / copy.path
            with contextlib.suppress(OSError):
                if path.stat().st_size == copy.size:
                    return path
        return self.path_of(bundle, FileRole.VMLINUX)

    def namelists(self, bundle: Bundle) -> tuple[Path, ...]:
        """What crash reads the kernel's symbols from: vmlinux, or the two halves of a split one, of
        which crash takes the larger for the DWARF (its symbols.c); the stripped one first."""
        vmlinux = self.namelist(bundle)
        stripped = bundle.first(FileRole.STRIPPED)
        return (
            (self.store.folder(bundle.kernel) / stripped.path, vmlinux) if stripped else (vmlinux,)
        )

    def source_folder(self, bundle: Bundle) -> Path | None:
        """Where the source tree lies, or will lie; None: not known yet, or there is none."""
        tree = bundle.first(FileRole.SOURCE_TREE)
        if tree is not None:
            return self.store.folder(bundle.kernel) / tree.path
        root = distro_of(bundle.kernel).layout(bundle.kernel).source_root
        return self.store.folder(bundle.kernel) / "root" / root if root else None

    def _here(self, bundle: Bundle, request: SymbolsRequest, original: bool) -> Bundle:
        """The bundle, whose files stay from now on until the store is closed."""
        if self.shared:
            self.store.uses.note(bundle.kernel.key)
            return bundle
        names = {normalise_module(name) for name in request.modules or ()}
        if request.all_modules:
            names = set(bundle.modules())
        return copy_files(self.api, self.room, bundle, names, self.reporter, original=original)
