"""What a word on the command line names: a text file, a package, or nothing that exists."""

from __future__ import annotations

from pathlib import Path

from kernsym.distros import identify_package

_PACKAGES = (".deb", ".ddeb", ".rpm")
_HEAD = 1 << 16


def read_text(path: Path) -> str | None:
    """The content of a text file; None for anything else.

    No dump begins with 64 KiB that hold no NUL; a log does.
    """
    if not exists(path) or not path.is_file():
        return None
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if not head or b"\0" in head:
            return None
        return (head + file.read()).decode(errors="replace")


def exists(path: Path) -> bool:
    """Whether there is such a file; text too long for a name, a banner say, is none."""
    try:
        return path.exists()
    except OSError:
        return False


def is_package(what: str) -> bool:
    """Whether it is the name of a package of some kernel, which may also lie there as a file."""
    path = Path(what)
    if exists(path) and path.suffix not in _PACKAGES:
        return False
    return identify_package(path.name) is not None
