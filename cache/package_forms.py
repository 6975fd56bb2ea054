"""In which forms a package is held, so that members can be had from it.

packages/ID           as it was published
packages/ID.index     what a pass over it has left: where its members are, or all of it packed
                      again; server/unpack/entering/index_file.py writes it
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

# The last bytes of an index: of one that only points into the package, and of one with a repack.
INDEX_MARK, REPACK_MARK = b"ksindex1", b"ksrepck1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageForm:
    """`name`: package, index or repack; `size` in bytes."""

    name: str
    size: int


def index_of(package: Path) -> Path:
    """Where the index of a package lies."""
    return package.with_name(f"{package.name}.index")


def package_forms(package: Path) -> list[PackageForm]:
    """The forms in which a package is held, where it would lie; [] of one that is not."""
    forms = [PackageForm(name="package", size=package.stat().st_size)] if package.is_file() else []
    with contextlib.suppress(OSError), index_of(package).open("rb") as file:
        size = file.seek(-len(INDEX_MARK), 2) + len(INDEX_MARK)
        is_repack = file.read() == REPACK_MARK
        forms.append(PackageForm(name="repack" if is_repack else "index", size=size))
    return forms
