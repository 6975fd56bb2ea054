"""gdb's index of a file's DWARF: made by gdb itself, in a form that the gdb in crash reads.

Format: the GDB manual, Index Section Format.  Its numbers are little-endian on every machine.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Unusable

_MOST_SECONDS = 1800.0
_MOST_BYTES = 1 << 30
_NEWEST = 8  # what gdb 10 in crash 8 reads; one that is newer it passes over without a word
_OLDEST = 7  # what gdb 16 in crash 9 reads
_WITH_SHORTCUTS = 9  # since gdb 15: a table with the name of main() before the constant pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gdb:
    """A gdb that was found; `title` as it names itself (`gdb 13.1`)."""

    path: str
    title: str


def find_gdb() -> Gdb | None:
    """The gdb on the PATH, asked for its version; None: there is none that runs."""
    path = shutil.which("gdb")
    if path is None:
        return None
    try:
        said = _run([path, "--nx", "--version"], Path("/"), seconds=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"([0-9]+(?:\.[0-9]+)+)[^\n]*\n", said)
    return Gdb(path=path, title=f"gdb {found[1] if found else 'of unknown version'}")


def make_index(gdb: Gdb, file: Path, folder: Path) -> bytes:
    """The index of an ELF file.  gdb takes as much memory as the file has bytes, most of it the
    page cache; `folder` is for its output.

    Raises `Unusable` (`index-not-made`).
    """
    with tempfile.TemporaryDirectory(prefix=".index-", dir=folder) as there:
        command = [gdb.path, "--nx", "--batch", "-iex", "set auto-load no"]
        command += [str(file.absolute()), "-ex", "save gdb-index ."]
        try:
            done = _run(command, Path(there), seconds=_MOST_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            raise _not_made(gdb, str(error)) from error
        made = [path for path in Path(there).iterdir() if path.suffix == ".gdb-index"]
        if len(made) != 1 or made[0].stat().st_size > _MOST_BYTES:
            said = done.stderr.strip().splitlines()
            raise _not_made(gdb, said[-1] if said else "it said nothing and wrote no index")
        return readable(made[0].read_bytes(), gdb)


def readable(index: bytes, gdb: Gdb) -> bytes:
    """The index as crash's gdb reads it: one of version 9 loses what it has more than version 8.

    Raises `Unusable` (`index-not-made`).
    """
    (version,) = struct.unpack_from("<I", index.ljust(4, b"\0"))
    if version == _WITH_SHORTCUTS:
        index = _without_shortcuts(index, gdb)
    elif not _OLDEST <= version <= _NEWEST:
        raise _not_made(gdb, f"its index has version {version}, {_OLDEST} to 9 are known")
    parts = struct.unpack_from("<5I", index.ljust(24, b"\0"), 4)
    if list(parts) != sorted(parts) or parts[0] != 24 or parts[-1] > len(index):
        raise _not_made(gdb, "its index is cut off")
    return index


def _without_shortcuts(index: bytes, gdb: Gdb) -> bytes:
    if len(index) < 28:
        raise _not_made(gdb, "its index is cut off")
    *parts, shortcuts, pool = struct.unpack_from("<6I", index, 4)
    if not parts[-1] <= shortcuts <= pool <= len(index):
        raise _not_made(gdb, "its index is cut off")
    moved = [part - 4 for part in parts]
    header = struct.pack("<6I", _NEWEST, *moved, shortcuts - 4)
    return header + index[28:shortcuts] + index[pool:]


def _run(command: list[str], folder: Path, *, seconds: float) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "DEBUGINFOD_URLS"}
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=seconds,
        cwd=folder,
        env={**kept, "LC_ALL": "C"},
        check=False,
    )


def _not_made(gdb: Gdb, why: str) -> Unusable:
    return Unusable("index-not-made", f"{gdb.title} made no index of the kernel's DWARF: {why}")
