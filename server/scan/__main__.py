"""`python -m kernsym.server.scan`: what `kernsym scan` runs, in a process that loads little.

Writes a `ScanReport` as a line of JSON for each folder, and for each second of the work on it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import msgspec

from kernsym.cache.messages import Problem, ScanReport
from kernsym.cache.scanned import Scanned
from kernsym.distros import KernsymError
from kernsym.server.scan.walk import Report, scan

_TOLD_SECONDS = 1.0


def main() -> int:
    """Scan the folders named; with `--every` for ever.  Exit: 0 done, 1 a problem was written."""
    parser = argparse.ArgumentParser(prog="kernsym scan", description=__doc__)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--every", type=float, metavar="SECONDS")
    parser.add_argument("folders", type=Path, nargs="+")
    arguments = parser.parse_args()
    scanned = Scanned(arguments.store / "index", arguments.store / "locks" / "scanned")
    try:
        while True:
            went_well = [_scan(root, scanned) for root in arguments.folders]
            if arguments.every is None:
                return 0 if all(went_well) else 1
            time.sleep(arguments.every)
    except (BrokenPipeError, KeyboardInterrupt):  # who reads it has gone, or goes
        return 1
    finally:
        scanned.close()


def _scan(root: Path, scanned: Scanned) -> bool:
    """Whether it went well."""
    told = time.monotonic()

    def tell(report: Report) -> None:
        nonlocal told
        if time.monotonic() - told > _TOLD_SECONDS:
            told = time.monotonic()
            _write(ScanReport(folder=str(root), files=report.files, read=report.read))

    try:
        report = scan(root, scanned, chosen=True, on_progress=tell)
    except KernsymError as error:
        _write(ScanReport(folder=str(root), problem=_problem(error)))
        return False
    _, packages, build_ids = scanned.totals(root)
    _write(
        ScanReport(
            folder=str(root),
            done=True,
            files=report.files,
            read=report.read,
            gone=report.gone,
            refused=report.refused,
            unreadable=tuple(report.unreadable),
            packages=packages,
            build_ids=build_ids,
        )
    )
    return True


def _problem(error: KernsymError) -> Problem:
    """No server answers with it, so it has no status."""
    return Problem(
        title=error.message,
        status=0,
        code=error.code,
        kind=error.kind,
        context=error.context,
        hint=error.hint,
    )


def _write(document: ScanReport) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(document) + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
