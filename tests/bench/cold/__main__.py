"""Times the cold path, from an unknown kernel to its symbols, beside what people use for it today.

    python tests/bench/cold [--runs 5] [--rows 1,2,...] [--folder DIRECTORY] [PACKAGE.deb]

PACKAGE.deb is a Debian kernel's -dbg package; without one apt fetches the newest (about 0.9 GB).
The RPMs are packed of as many of its files as --rpm-megabytes allows.  Prints medians: wall and
processor seconds (of all processes), wall in proportion to kernsym's, and the peak resident
memory; at the end all goals.  A peer that is not installed is passed over.

Tried on Debian's 6.1.192 package and not kept (processor seconds):
- for all files: pyelftools for the modules' build IDs, 2.7 s instead of 0.05 s
- for vmlinux: libarchive's bytes in place instead of a copy of them, 7.2 s instead of 7.2 s;
  malloc kept from giving memory back, 7.5 s instead of 7.7 s
- for ext4: all decoders on the blocks of one module, 2.9 s and 200 MB instead of 0.6 s and 61 MB;
  searching it by files a block holds on average, 2.3 s, instead of down to its own block
- for an index of a zstd RPM: the archive packed again instead of points, 2.7 s instead of 0.2 s of
  a pass that takes 1.9 s, and 450 MB instead of 6 MB (zstd packs modules with 560 MB/s at level 1
  into a third, with 710 MB/s at -7 into a half, and unpacks 800 to 1,400 MB/s)
- for files that are written: preallocation, 0.13 s instead of 0.13 s of the system's for 633 MB;
  the digest through an executor's futures, a block at a time, no sooner than without a thread
- for blocks of xz: pieces of 32 KiB to 4 MiB instead of 1 MiB, 4.0 to 4.3 s instead of 4.2 s
- for one module: several decoders once it is found, 1.1 s instead of 0.5 s and later; searching
  where 2 MiB instead of 4 lie before a file, 0.8 s instead of 0.4 s
- for points: the decoder learning from 16 blocks instead of up to 96, 4 of 60 wrong at level 19
- for crash's modules: copies whose debug sections are relocated (eu-strip --reloc-debug-sections),
  0.2 s instead of 0.5 s for 19 of them, and a second copy of each
- for gzip RPMs: 256 KiB of input at once, 4.7 s instead of 4.1 s; the archive packed again instead
  of marks at blocks, 43.5 s instead of 20.6 s, and 1.6 GB instead of 4 MB
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.bench.cold import identity, in_part, prompt, rpms, served, unpacking
from tests.bench.cold.inputs import KernelPackage, build_ids, fetch, open_deb, open_rpm
from tests.bench.cold.table import Table

_OF_RPMS = rpms.ROWS | {"5"}
_OF_PACKAGES = unpacking.ROWS | in_part.ROWS | served.ROWS | _OF_RPMS


def rows_of_packages(
    table: Table, package: KernelPackage, rows: set[str], kept: Path, rpm_bytes: int
) -> None:
    """All rows but those of dumps."""
    unpacking.measure(table, package, rows)
    if rows & in_part.ROWS:
        in_part.measure(table, package)
    if rows & (served.ROWS - {"5"}):
        folder = kept / "deb"
        if not folder.exists():
            folder.mkdir(parents=True)
            _link(package.path, folder / package.path.name)
        contest = served.Contest("debian", folder, kept / "served-deb")
        served.measure(table, package, build_ids(package, table.runs + 1), contest, rows)
    if not rows & _OF_RPMS:
        return
    for title, rpm in rpms.made(package, kept / "rpms", rpm_bytes).items():
        if "5-index" in rows:
            rpms.measure_index(table, title, rpm)
        if "9" in rows:
            rpms.measure(table, title, rpm)
        if "5" in rows:
            contest = served.Contest("fedora", rpm.parent, kept / f"served-{rpm.parents[2].name}")
            served.measure_rpm(table, title, build_ids(open_rpm(rpm), table.runs + 1), contest)


def _link(path: Path, target: Path) -> None:
    """The same file a second time, for servers of all that lies in a folder."""
    try:
        target.hardlink_to(path)
    except OSError:  # on another file system
        shutil.copyfile(path, target)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("package", nargs="?", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", help="such as 1,2,9; else all")
    parser.add_argument("--rpm-megabytes", type=int, default=1500, help="unpacked")
    parser.add_argument("--dump-mebibytes", type=int, default=4096, help="of row 11")
    parser.add_argument("--dump", type=Path, help="of the package's kernel, for rows 10 and 10b")
    parser.add_argument("--crash", default="crash", metavar="PROGRAM", help="of the same rows")
    parser.add_argument("--folder", help="where the files are written for a while")
    parser.add_argument("--keep", type=Path, help="where the RPMs stay, and what servers know")
    options = parser.parse_args()
    every = _OF_PACKAGES | identity.ROWS | (prompt.ROWS if options.dump else set())
    rows = set(options.rows.split(",")) if options.rows else every
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        table = Table(Path(name), options.runs)
        kept = options.keep.resolve() if options.keep else Path(name) / "kept"
        if rows & (_OF_PACKAGES | prompt.ROWS):
            path = options.package.resolve() if options.package else fetch(table.folder)
            package = open_deb(path)
            size = path.stat().st_size / 1e6
            print(f"{path.name}, {size:.0f} MB, {os.cpu_count()} processors")
            rows_of_packages(table, package, rows, kept, options.rpm_megabytes * 1_000_000)
            if rows & prompt.ROWS:
                dump = options.dump.resolve()
                prompt.measure(table, package.path, dump, options.crash, rows)
        if rows & identity.ROWS:
            identity.measure(table, options.dump_mebibytes)
        table.summary()


if __name__ == "__main__":
    main()
