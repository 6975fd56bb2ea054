"""`python -m kernsym.server.prepare STORE KEY`: a process of low priority that makes one copy.

It outlives the server that started it for one `kernsym crash`; killed, it leaves nothing that
anybody would use.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from kernsym.cache import Store
from kernsym.distros import KernsymError
from kernsym.server.prepare.copying import prepare

_NICE = 19


def main() -> int:
    """Exit: 0 the copy is there, 1 it is not."""
    root, key = sys.argv[1:]
    os.nice(_NICE)
    try:
        with contextlib.closing(Store(Path(root))) as store:
            bundle = store.bundle_by_key(key)
            return 0 if bundle is not None and prepare(store, bundle) else 1
    except (KernsymError, OSError) as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
