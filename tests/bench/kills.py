"""Kills the command at random moments, many times: nothing half-visible, no lock left, and the next
run heals.

    python tests/bench/kills.py [--rounds 200] [--seed NUMBER]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.conftest import WORLD, Kernsym, write_config
from tests.killing import kill_at_random
from tests.upstream import UpstreamServer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name, UpstreamServer(WORLD / "repo") as mirror:
        home = Path(name)
        environment = {
            "HOME": name,
            "KERNSYM_STORE": str(home / "store"),
            "KERNSYM_CONFIG": str(write_config(home / "kernsym.toml", mirror.url)),
        }
        kernsym = Kernsym(home=home, environment=environment)
        kill_at_random(kernsym, arguments.rounds, arguments.seed)
    print(f"{arguments.rounds} rounds in {time.monotonic() - began:.0f} s: nothing half-visible")


if __name__ == "__main__":
    main()
