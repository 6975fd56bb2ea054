"""Times identifying dumps, without the interpreter's start.

    python tests/bench/scan.py [--repeat 5] [DUMP...]

Without a DUMP those of the bundled worlds.  `./run bench cold --rows 11` scans raw memory beside
grep.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

from kernsym.client.dumps import read_facts
from kernsym.distros import KernsymError

_WORLDS = Path(__file__).parents[1] / "worlds"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("dumps", nargs="*", type=Path, default=sorted(_WORLDS.glob("*/vmcore")))
    options = parser.parse_args()
    print(f"read_facts, median of {options.repeat}")
    for dump in options.dumps:
        print(f"  {dump.parent.name}/{dump.name:20} {_timed(dump, options.repeat)}")


def _timed(path: Path, repeat: int) -> str:
    taken = []
    for _ in range(repeat):
        began = time.perf_counter()
        try:
            facts = read_facts(path)
        except KernsymError as error:
            return error.code
        taken.append(time.perf_counter() - began)
    return f"{statistics.median(taken) * 1000:9.1f} ms   {facts.format}"


if __name__ == "__main__":
    main()
