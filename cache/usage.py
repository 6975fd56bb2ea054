"""What takes how much of the disk."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def bytes_on_disk(folder: Path) -> int:
    """What everything below a folder takes on the disk; 0 for none."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(f"{path}/{name}").st_blocks * 512
    return total
