"""What a package's kind says of it: where its packed files lie, and that it cannot be unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from kernsym.distros import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """The packed files: a run of the package, and libarchive's names for how they are packed.

    `size` in bytes; None: to the end of the package.
    """

    offset: int
    size: int | None
    format: str
    filter: str


def corrupt(what: str) -> Refused:
    """The error for a package that is not what it should be."""
    return Refused(
        "package-corrupt",
        f"the package cannot be unpacked: {what}",
        hint="run again to download it afresh; if it stays so, the mirror's copy is broken",
    )
