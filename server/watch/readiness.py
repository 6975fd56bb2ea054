"""Whether the server can do its work: what `/readyz` answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator

from kernsym.cache import Store


def shortcomings(store: Store, *, least_free: int) -> Iterator[str]:
    """What keeps the server from bringing kernels here, a line each; nothing: it is ready.

    The store must take files, `least_free` bytes of room be left, the file index be whole.
    """
    for check in (_writable, _index, lambda store: _room(store, least_free)):
        if (line := check(store)) is not None:
            yield line


def _index(store: Store) -> str | None:
    return None if store.files.complete else "index  is being made anew from the manifests"


def _writable(store: Store) -> str | None:
    try:
        with tempfile.TemporaryFile(dir=store.root):
            return None
    except OSError as error:
        return f"store  {store.root} takes no files: {error.strerror}"


def _room(store: Store, least: int) -> str | None:
    try:
        free = shutil.disk_usage(store.root).free
    except OSError as error:
        return f"store  {store.root}: {error.strerror}"
    if free < least:
        return f"disk   {free / 1e6:,.0f} MB are free, {least / 1e6:,.0f} MB shall be"
    return None
