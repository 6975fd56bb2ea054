"""How long identifying takes: 275 banners of the tests' tables, in one process.

./run bench identify        or: python tests/bench/identify.py
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from pathlib import Path

from kernsym.distros import Fingerprint, Outcome, identify

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = Path(__file__).parents[1] / "distros/tables"
COUNT = 275
RUNS = 5


def banners() -> list[str]:
    rows = [
        row
        for path in sorted(TABLES.glob("*.toml"))
        for kind in tomllib.loads(path.read_text()).values()
        for row in kind
    ]
    return [row["banner"] for row in rows if "banner" in row]


def seconds(texts: list[str]) -> float:
    began = time.perf_counter()
    for text in texts:
        identify(Fingerprint(banner=text))
    return time.perf_counter() - began


def main() -> None:
    texts = list(itertools.islice(itertools.cycle(banners()), COUNT))
    first = seconds(texts[:1])  # finds and imports the distributions
    took = statistics.median(seconds(texts) for _ in range(RUNS))
    known = sum(identify(Fingerprint(banner=text)).outcome is Outcome.IDENTIFIED for text in texts)
    print(f"{len(texts)} banners, {known} identified, median of {RUNS}")
    print(f"  the first   {first * 1000:7.1f} ms")
    print(f"  all         {took * 1000:7.1f} ms")
    print(f"  each        {took / len(texts) * 1e6:7.1f} us")


if __name__ == "__main__":
    main()
