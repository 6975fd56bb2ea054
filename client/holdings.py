"""Symbols on this machine: from the embedded server in place, from a remote one by copy."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kernsym.cache import Bundle, FileRole, Store
from kernsym.cache.messages import Part, Partial, SymbolsRequest
from kernsym.client.bring import bring
from kernsym.client.copying import copy_files, copy_sources
from kernsym.client.output import Reporter
from kernsym.client.server_api import ServerApi
from kernsym.client.settings import Settings
from kernsym.distros import Fingerprint, KernsymError, distro_of, normalise_module


@contextlib.contextmanager
def open_holdings(
    settings: Settings, packages: Path | None = None, *, partial: Partial = Partial.NO
) -> Iterator[Holdings]:
    """The holdings of this machine, with the server that the settings name or an embedded one,
    which looks for packages in the folder `packages` first."""
    with contextlib.closing(Store(settings.store_folder())) as store, settings.api(packages) as api:
        yield Holdings(
            api=api,
            store=store,
            shared=settings.server_url() is None,
            reporter=settings.reporter(),
            partial=partial,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """Where the files of kernels come from and lie.

    `shared`: the server works on `store` itself, so its files are used in place.
    `partial`: whether symbols may be of packages that do not come whole.
    """

    api: ServerApi
    store: Store
    shared: bool
    reporter: Reporter
    partial: Partial = Partial.NO

    def symbols(
        self,
        fingerprint: Fingerprint,
        modules: tuple[str, ...] | Callable[[Path], tuple[str, ...]],
        *,
        all_modules: bool = False,
        original: bool = False,
    ) -> Bundle:
        """vmlinux and modules, here.  `original`: vmlinux itself and not only its prepared copy.

        `modules`: their names, or a function that lists them from the path of the checked
        vmlinux; with a shared store it is called while the package still comes.
        """
        request = SymbolsRequest(
            fingerprint=fingerprint,
            modules=modules if isinstance(modules, tuple) else None if self.shared else (),
            all_modules=all_modules,
            partial=self.partial,
        )
        listed = None if isinstance(modules, tuple) else modules
        redeem = (lambda path: listed(self.store.root / path)) if listed else None
        bundle = self._here(bring(self.api, request, self.reporter, redeem), request, original)
        if listed is not None:
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
        return copy_sources(self.api, self.store, bundle, self.reporter)

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
        return copy_files(self.api, self.store, bundle, names, self.reporter, original=original)
