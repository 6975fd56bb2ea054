"""Times finding a package in a large rpm-md repository, over HTTP and from the cache.

    python tests/bench/rpm_md.py [--packages 50000] [--folder DIRECTORY]

Makes a repository whose primary list has 2 KB of XML for each package, serves it on loopback, and
resolves the last package of it in a process of its own, for each compression: the first time, and
again.  Prints wall and processor seconds, requests and the peak resident memory.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.distros.rpm_md_writer import PACKERS, Row, repository
from tests.upstream import UpstreamServer

ROOT = Path(__file__).parents[2]


def rows(count: int) -> list[Row]:
    """Other packages with what such lists are full of, and the wanted one at the end."""
    text = "A description that goes on for some lines, as they do. " * 6
    names = tuple(f"libsomething{number}.so.6(GLIBC_2.{number})(64bit)" for number in range(22))
    others = [
        Row(name=f"package{number}-debuginfo", provides=names, description=text)
        for number in range(count - 1)
    ]
    return [*others, Row(name="kernel-debuginfo")]


def measure(server: UpstreamServer, pages: Path, title: str) -> None:
    server.hits.clear()
    command = [sys.executable, "-m", "tests.resolve_once", f"{server.url}/repo", str(pages)]
    answer = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    wall, cpu, peak = map(float, answer.split())
    asked = server.hits.total()
    print(f"  {title:22} {wall:6.2f} s {cpu:6.2f} s {asked:5} requests {peak / 1024:6.0f} MiB")


def write(root: Path, packages: list[Row], suffix: str) -> None:
    for url, body in repository("repo", packages, suffix=suffix).items():
        path = root / url
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packages", type=int, default=50_000)
    parser.add_argument("--folder", help="where the files are written for a while")
    options = parser.parse_args()
    packages = rows(options.packages)
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        root = Path(name)
        for suffix in PACKERS:
            write(root, packages, suffix)
            if not suffix:
                size = (root / "repo/repodata/primary.xml").stat().st_size
                print(f"{options.packages} packages, {size / 1e6:.0f} MB of XML")
                print(f"  {'':22}     wall      cpu                     peak")
            with UpstreamServer(root) as server:
                for title in ("first", "again"):
                    measure(server, root / f"pages{suffix}", f"{suffix or 'plain'}, {title}")


if __name__ == "__main__":
    main()
