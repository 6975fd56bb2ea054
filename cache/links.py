"""The links by build ID that gdb, perf, eu-* and drgn follow: STORE/.build-id/xx/yyyy.debug."""

from __future__ import annotations

import os
from pathlib import Path

from kernsym.cache.atomic import replace_link
from kernsym.cache.bundle import Bundle, FileRole
from kernsym.cache.tree import Tree


class BuildIdLinks:
    """The links of a store.  One build ID may be of files of several kernels: the link leads to
    that which was published last."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def put(self, bundle: Bundle) -> None:
        """Have every file of a kernel found by its build ID; of a split pair that with the DWARF,
        the other half has the same."""
        folder = self._tree.folder(bundle.kernel.key)
        for file in bundle.found:
            if file.build_id and file.role is not FileRole.STRIPPED:
                replace_link(Path(self._tree.link(file.build_id)), folder / file.path)

    def remove(self, bundle: Bundle) -> None:
        """Remove the links of a kernel, but those that another kernel's file has taken over."""
        folder = self._tree.folder(bundle.kernel.key).resolve()
        for file in bundle.files:
            if file.build_id:
                link = Path(self._tree.link(file.build_id))
                if link.is_symlink() and link.resolve().is_relative_to(folder):
                    link.unlink(missing_ok=True)

    def has(self, build_id: str) -> bool:
        return os.path.lexists(self._tree.link(build_id))

    def follow(self, build_id: str) -> tuple[str, Path] | None:
        """The key of the kernel and the path of the file that a link leads to."""
        if not self.has(build_id):
            return None
        try:
            path = Path(self._tree.link(build_id)).resolve(strict=True)
            inside = path.relative_to(self._tree.root.resolve() / "kernels")
        except (OSError, ValueError):
            return None
        return "/".join(inside.parts[:4]), path
