"""Rows 10 and 10b: from a dump to crash's prompt, beside crash alone with its files at hand."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

from kernsym.cache import Bundle, FileRole, Store
from tests.bench.cold.table import Table, Way, ratio

ROWS = {"10", "10b"}

_KERNSYM = f"{shlex.quote(sys.executable)} -m kernsym.client"
_MOST_SECONDS = 300.0
_CONFIG = """
[server]
prepare = {prepare}
[builtin]
sources = false
[[source]]
distro = "*"
kind = "directory"
url = "{url}"
signature = "skip"
"""


def measure(table: Table, package: Path, dump: Path, crash: str, rows: set[str]) -> None:
    """`dump` is of the package's kernel; `crash` the program, of kernsym too."""
    folder = table.folder / "prompt"
    (folder / "packages").mkdir(parents=True)
    (folder / "packages" / package.name).symlink_to(package)
    warm = _fill(folder, dump, crash)
    alone = _alone(folder, dump, crash, warm)
    # Nothing is prepared in the background while the others are measured.
    config = _config(folder, prepare=False)
    goals = {
        "10": ("cold store", "{into}/store", 1.8),
        "10b": ("warm store", f"{folder}/warm", 0.5),
    }
    for row in sorted(ROWS & rows):
        words, store, goal = goals[row]
        own = _command(dump, crash, config, store)
        ways = [Way(title=f"kernsym crash, {words}", command=own), *alone]
        took = table.compare(f"{row}. dump to prompt, {words}", ways)
        measured = ratio(took, ways[0].title, alone[0].title)
        table.at_most(row, f"dump to prompt, {words} / crash alone", measured, goal, "x")


def _command(dump: Path, crash: str, config: Path, store: str) -> str:
    """Fails where a module has not come."""
    asked = f"{_KERNSYM} --config {config} --store {store} crash -q --no-sources"
    session = f"{asked} --crash {shlex.quote(crash)} {shlex.quote(str(dump))}"
    return f"printf 'mod\\nq\\n' | {session} > {{into}}/out && grep -q '[.]ko' {{into}}/out"


def _fill(folder: Path, dump: Path, crash: str) -> Bundle:
    """A store that has all of the dump's kernel, prepared."""
    config = _config(folder, prepare=True)
    command = _command(dump, crash, config, str(folder / "warm")).format(into=folder)
    subprocess.run(["bash", "-c", command], check=True)
    end = time.monotonic() + _MOST_SECONDS
    with closing(Store(folder / "warm")) as store:
        while True:
            bundle = next(store.bundles())
            if bundle.usable_copy():
                return bundle
            if time.monotonic() > end:
                sys.exit("no copy of vmlinux was prepared: is gdb installed?")
            time.sleep(1)


def _alone(folder: Path, dump: Path, crash: str, warm: Bundle) -> list[Way]:
    """crash with the original vmlinux, without and with the modules."""
    there = folder / "warm/kernels" / warm.kernel.key
    vmlinux = next(filter(None, [warm.first(FileRole.VMLINUX)])).path
    loads = [
        f"mod -s {file.name} {there / file.path} > /dev/null"
        for file in warm.files
        if file.role is FileRole.MODULE
    ]
    (folder / "loads").write_text("".join(f"{line}\n" for line in loads))
    started = f"{shlex.quote(crash)} -s {there / vmlinux} {shlex.quote(str(dump))}"
    with_modules = started.replace(" -s ", f" -s -i {folder}/loads ", 1)
    return [
        Way(title="crash alone", command=f"echo q | {started} > {{into}}/out"),
        Way(
            title="crash, with mod -s of the same",
            command=f"echo q | {with_modules} > {{into}}/out",
        ),
    ]


def _config(folder: Path, *, prepare: bool) -> Path:
    path = folder / f"prepare-{prepare}.toml"
    url = (folder / "packages").as_uri()
    path.write_text(_CONFIG.format(prepare=str(prepare).lower(), url=url))
    return path
