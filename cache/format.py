"""Which version of its own layout a store has, and the way from an older one to this one's.

    STORE/format        the version as a number; a store without it is of version 1

Each step may be broken off at any moment and begun again.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from pathlib import Path

from kernsym.cache.atomic import write_atomic
from kernsym.cache.locks import hold
from kernsym.cache.tree import Tree
from kernsym.cache.uses import Uses
from kernsym.distros import Unusable

FORMAT = 2
_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


def migrate(tree: Tree) -> None:
    """Bring a store to this version's layout; one that cannot be written is read as it is.

    Raises `Unusable` (`store-newer`), `OSError`.
    """
    if _version(tree) >= FORMAT:
        return
    try:
        with hold(tree.locks / "format"):
            for version in range(_version(tree), FORMAT):
                _STEPS[version](tree)
                write_atomic(_file(tree), f"{version + 1}\n".encode())
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise


def _version(tree: Tree) -> int:
    try:
        text = _file(tree).read_text().strip()
    except FileNotFoundError:
        return 1
    if not text.isdigit() or int(text) > FORMAT:
        raise Unusable(
            "store-newer",
            f"the store {tree.root} has the format {text or 0}, this kernsym knows {FORMAT}",
            hint="update kernsym, or use another --store",
        )
    return int(text)


def _let_everybody_use(tree: Tree) -> None:
    """Make the files whose locks say that a kernel is in use: those who may not write need them.
    Their time, that of the last use, is as far as one knows that of the manifest."""
    uses = Uses(tree)
    for key in tree.held_keys():
        path = uses.path(key)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside = path.with_name(f".{path.name}.{os.getpid()}")
            beside.touch()
            with contextlib.suppress(OSError):
                changed = tree.manifest(key).stat().st_mtime
                os.utime(beside, (changed, changed))
            beside.replace(path)


def _file(tree: Tree) -> Path:
    return tree.root / "format"


_STEPS: dict[int, Callable[[Tree], None]] = {1: _let_everybody_use}
