"""One of several processes that ask a store for more than it may hold, as `kernsym crash` does.

    python tests/store_load.py SEED ROUNDS DUMP...

Brings the symbols and sources of the dumps' kernels in random order, through a server of its own,
and reads all that it was given while it uses it: a line for each kernel, or an assertion.
"""

from __future__ import annotations

import hashlib
import random
import sys
import time
from pathlib import Path

from kernsym.cache import Bundle, FileRole
from kernsym.client.dumps import read_facts
from kernsym.client.holdings import Holdings, open_holdings
from kernsym.client.settings import Settings


def read_all(holdings: Holdings, bundle: Bundle) -> int:
    """The bytes of a kernel's files, each of which is as its manifest says."""
    folder, read = holdings.store.folder(bundle.kernel), 0
    for file in bundle.files:
        if file.role is FileRole.SOURCE_TREE:
            found = [path.stat().st_size for path in (folder / file.path).rglob("*")]
            assert sum(found) >= file.size, file
        else:
            content = (folder / file.path).read_bytes()
            assert hashlib.sha256(content).hexdigest() == file.sha256, file
            read += len(content)
    return read


def main() -> None:
    chance, rounds = random.Random(sys.argv[1]), int(sys.argv[2])
    dumps = [Path(name) for name in sys.argv[3:]]
    for number in range(rounds):
        for dump in chance.sample(dumps, len(dumps)):
            began = time.monotonic()
            fingerprint = read_facts(dump).fingerprint
            with open_holdings(Settings(quiet=True)) as holdings:
                holdings.symbols(fingerprint, (), all_modules=True)
                bundle = holdings.sources(fingerprint)
                read = read_all(holdings, bundle)
                time.sleep(chance.random() / 4)
                assert read_all(holdings, bundle) == read
            took = time.monotonic() - began
            print(f"{number} {bundle.kernel.key} {read} bytes {took:.1f} s", flush=True)


if __name__ == "__main__":
    main()
