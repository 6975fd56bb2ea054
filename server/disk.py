"""Room on the disk: asked for before the work begins, and said plainly when it runs out."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

from kernsym.distros import Unusable

_HINT = "free some space (kernsym rm KERNEL), or put the store elsewhere with --store DIR"


def require_room(folder: Path, needed: int) -> None:
    """Raises `Unusable` (`disk-full`) unless `needed` bytes are free where `folder` is to be."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise Unusable(
            "disk-full",
            f"{_megabytes(needed)} are needed, {_megabytes(free)} are free",
            context=(f"folder  {folder}",),
            hint=_HINT,
        )


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns a failed write to `path` into `Unusable` (`disk-full` or `store-unwritable`)."""
    try:
        yield
    except InterruptedError:
        raise  # somebody gave up, no disk did
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise Unusable(
            "disk-full" if full else "store-unwritable",
            f"{'no space is left' if full else error.strerror} while writing {path.name}",
            context=(f"file  {path}",),
            hint=_HINT if full else "check who owns the store, or choose another: --store DIR",
        ) from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
