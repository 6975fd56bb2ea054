"""What was said of a kernel that is held: that it shall stay, that nobody publishes it any more.

    STORE/kernels/<distro>/<arch>/<uname>/<version>/pin.json, gone.json

They lie with the kernel and go with it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from kernsym.cache.atomic import write_atomic
from kernsym.cache.tree import Tree

T = TypeVar("T")

PIN, GONE = "pin.json", "gone.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """`since` in seconds since the epoch; `reason` as it was given, "" for none."""

    since: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Since when nobody publishes a kernel, in seconds since the epoch, and what was `said`."""

    since: float
    said: str = ""


class Marks:
    """The marks of a store's kernels.  To pin and unpin raises `OSError`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def pin(self, key: str, reason: str = "") -> Pin:
        """Keep a kernel until `unpin`."""
        pin = Pin(since=time.time(), reason=reason)
        self._write(key, PIN, pin)
        return pin

    def unpin(self, key: str) -> bool:
        """Whether it was pinned."""
        was = self.pinned(key) is not None
        (self._tree.folder(key) / PIN).unlink(missing_ok=True)
        return was

    def pinned(self, key: str) -> Pin | None:
        return _read(self._tree.folder(key) / PIN, Pin)

    def say_gone(self, key: str, said: str) -> None:
        """Nobody who was asked publishes a kernel that is held; of others nothing is noted, and
        nothing on a disk that takes no writes."""
        if self.gone(key) is None and self._tree.manifest(key).exists():
            with contextlib.suppress(OSError):
                self._write(key, GONE, Gone(since=time.time(), said=said))

    def say_published(self, key: str) -> None:
        """Somebody publishes it."""
        with contextlib.suppress(OSError):
            (self._tree.folder(key) / GONE).unlink()

    def gone(self, key: str) -> Gone | None:
        return _read(self._tree.folder(key) / GONE, Gone)

    def _write(self, key: str, name: str, mark: Pin | Gone) -> None:
        write_atomic(self._tree.folder(key) / name, msgspec.json.encode(mark) + b"\n")


def _read(path: Path, kind: type[T]) -> T | None:
    """A mark; one that is there and cannot be read still counts."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        data = path.read_bytes()
        try:
            return msgspec.json.decode(data, type=kind)
        except (msgspec.DecodeError, ValueError):
            return msgspec.convert({"since": 0.0}, kind)
    return None
