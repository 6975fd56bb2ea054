"""Folders as sources of packages: what lies in them is offered by the name that it gives itself,
at any depth, under any file name."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kernsym.cache.scanned import Scanned
from kernsym.distros import KernsymError, PackageRef, Source
from kernsym.server.mirrors.upstream import file_path, is_file_url
from kernsym.server.scan.walk import scan

log = logging.getLogger(__name__)

_FRESH_SECONDS = 60.0  # a scan of 10,000 packages that have not changed takes a tenth of a second

Tell = Callable[[str], None]


def folder_of(source: Source) -> Path | None:
    """The folder of this machine that a source is."""
    if source.kind == "directory" and is_file_url(source.url):
        return file_path(source.url.rstrip("/"))
    return None


class Folders:
    """What was scanned, as sources.  Used from threads."""

    def __init__(self, scanned: Scanned) -> None:
        self._scanned = scanned
        self._one_at_a_time = threading.Lock()

    def sources(self, configured: Iterable[Source]) -> tuple[Source, ...]:
        """The configured sources, then the folders that somebody had scanned."""
        given = tuple(configured)
        named = {folder_of(source) for source in given}
        return given + tuple(
            Source(
                distro="*",
                kind="directory",
                url=root.as_uri(),
                signature="if-present",  # a .deb has none
                origin="scanned",
            )
            for root in self._scanned.chosen()
            if root not in named
        )

    def refresh(self, sources: Iterable[Source], tell: Tell) -> None:
        """Scan those of the sources that are folders, unless that was done a moment ago.  What
        cannot be scanned is told."""
        with self._one_at_a_time:
            known = self._scanned.roots()
            for root in dict.fromkeys(filter(None, map(folder_of, sources))):
                if time.time() - known.get(root, 0.0) < _FRESH_SECONDS:
                    continue
                if root not in known:
                    tell(f"looking for the first time at what lies in {root}")
                try:
                    log.debug("%s: %s", root, scan(root, self._scanned))
                except (KernsymError, OSError) as error:
                    tell(f"{root} was not scanned: {error}")

    def names(self, url: str) -> tuple[str, ...]:
        """The names of the packages in the folder with a file:// URL."""
        return self._scanned.names(file_path(url.rstrip("/")))

    def found(self, ref: PackageRef) -> Iterator[PackageRef]:
        """A package of a source with the files that it is; one with a file of its name is that."""
        path = file_path(ref.url) if is_file_url(ref.url) else None
        files = self._scanned.packages(path.parent, path.name) if path else ()
        if path is None or path.exists() or not files:
            yield ref
            return
        for file in files:
            why = f"{file} is {path.name}, as its header says"
            yield replace(ref, url=file.as_uri(), origin=str(file.parent), why=why)

    def stamp(self) -> tuple[int, ...]:
        """What changes with the packages that are known."""
        return self._scanned.stamp()
