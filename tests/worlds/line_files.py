"""Prints the source files whose lines the machine code of the given ELF files comes from.

line_files.py ELF...
"""

from __future__ import annotations

import posixpath
import sys
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
    found: set[str] = set()
    for path in sys.argv[1:]:
        with Path(path).open("rb") as file:
            dwarf = ELFFile(file).get_dwarf_info()
            for unit in dwarf.iter_CUs():
                program = dwarf.line_program_for_CU(unit)
                if program is not None:
                    found.update(names(program))
    print("\n".join(sorted(name for name in found if not name.startswith("/"))))


if __name__ == "__main__":
    main()
