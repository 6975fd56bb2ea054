"""Prints the source files whose lines the machine code of the given ELF files comes from.

line_files.py [--below FOLDER] ELF...
"""

from __future__ import annotations

import argparse
import posixpath
from collections.abc import Iterator
from pathlib import Path

from elftools.dwarf.lineprogram import LineProgram
from elftools.elf.elffile import ELFFile


def names(program: LineProgram) -> Iterator[str]:
    """Files that at least one row of a DWARF 5 line table points to."""
    files = program["file_entry"]
    folders = [entry.DW_LNCT_path.decode() for entry in program["directories"]]
    used = {entry.state.file for entry in program.get_entries() if entry.state is not None}
    for index in used:
        name = files[index]
        folder = folders[name["dir_index"]]
        yield posixpath.normpath(posixpath.join(folder, name["name"].decode()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--below", default="", help="what DWARF calls the sources, if not relative")
    parser.add_argument("files", type=Path, nargs="+")
    arguments = parser.parse_args()
    found: set[str] = set()
    for path in arguments.files:
        with path.open("rb") as file:
            dwarf = ELFFile(file).get_dwarf_info()
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                if program is not None:
                    found.update(names(program))
    prefix = f"{arguments.below}/" if arguments.below else ""
    relative = (name.removeprefix(prefix) for name in found if name.startswith(prefix))
    print("\n".join(sorted(name for name in relative if not name.startswith("/"))))


if __name__ == "__main__":
    main()
