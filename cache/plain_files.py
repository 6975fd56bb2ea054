"""The files of a source tree, links left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def plain_files(top: Path) -> Iterator[Path]:
    """The plain files below a folder, always in the same order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path
