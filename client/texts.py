"""Reads a file as text, if it is one."""

from __future__ import annotations

from pathlib import Path

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
