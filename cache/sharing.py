"""One store for several users: what any of them writes, all of them may read and write.

As with git's shared repositories the folder says so itself: `chgrp TEAM STORE; chmod 2770 STORE`.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_GROUP = 0o070


def share_with_group(root: Path) -> None:
    """Where the group of `root` may write to it and hands itself on to what is in it, let this
    process write for the group from now on, whatever its umask was."""
    mode = root.stat().st_mode
    if mode & stat.S_ISGID and mode & stat.S_IWGRP:
        os.umask(os.umask(0o077) & ~_GROUP)
