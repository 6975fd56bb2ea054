"""Where things lie inside a store; touches no disk but to list the kernels."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Tree:
    """The paths below `root`.  A kernel's key is `<distro>/<arch>/<uname>/<version>`."""

    root: Path

    @property
    def kernels(self) -> Path:
        return self.root / "kernels"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def removed(self) -> Path:
        """Where lies what nobody shall find any more, until it is deleted."""
        return self.root / "removed"

    def folder(self, key: str) -> Path:
        """A kernel's folder, whether or not anything is held."""
        return self.kernels / key

    def manifest(self, key: str) -> Path:
        return self.folder(key) / MANIFEST

    def lock(self, key: str, part: str) -> Path:
        """The file that who works on a part of a kernel holds."""
        return self.locks / f"{key.replace('/', ',')}.{part}"

    def link(self, build_id: str) -> str:
        """The link of a build ID; as text, because it is asked for in look-ups."""
        return f"{self.root}/.build-id/{build_id[:2]}/{build_id[2:]}.debug"

    def held_keys(self) -> list[str]:
        """The keys of all kernels that have a manifest, in order."""
        found = self.kernels.glob(f"*/*/*/*/{MANIFEST}")
        return sorted(self.key_of(path.parent) for path in found)

    def key_of(self, folder: Path) -> str:
        """The key of a kernel's folder."""
        return str(folder.relative_to(self.kernels))

    def prune(self, folder: Path) -> None:
        """Remove folders that have become empty, up to `kernels/`."""
        with contextlib.suppress(OSError):
            while folder != self.kernels:
                folder.rmdir()
                folder = folder.parent


def is_key(text: str) -> bool:
    """Whether a text has the form of a kernel's key, and leads nowhere else.

    >>> is_key("debian/x86_64/6.1.0-18-amd64/6.1.76-1"), is_key("../../x/y")
    (True, False)
    """
    parts = text.split("/")
    return len(parts) == 4 and not any(part in ("", ".", "..") or "\0" in part for part in parts)
