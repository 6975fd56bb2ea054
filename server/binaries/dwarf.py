"""Where the sources lay when a vmlinux was made, from the first compile units of its DWARF."""

from __future__ import annotations

import inspect
import io
import itertools
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from elftools.dwarf.dwarfinfo import DebugSectionDescriptor, DwarfConfig, DWARFInfo
from elftools.elf.elffile import ELFFile

_MOST_UNITS = 64
# With the partial units of dwz: what units share, taken out of them and put before them.
_MOST_UNITS_OF_ANY_KIND = 20_000
_SECTIONS = {
    "debug_info_sec": ".debug_info",
    "debug_abbrev_sec": ".debug_abbrev",
    "debug_str_sec": ".debug_str",
    "debug_line_str_sec": ".debug_line_str",
}
_ARGUMENTS = [name for name in inspect.signature(DWARFInfo).parameters if name != "config"]


def source_prefix(vmlinux: Path) -> str:
    """The folder that holds the source tree in the file names of a vmlinux; "" unknown.

    Where names are absolute it is what they share with the folder that the compiler ran in, which
    may lie deeper (`make O=`); relative names begin in that folder.  Most compile units decide:
    assembler's may differ.
    """
    absolute: Counter[str] = Counter()
    relative: Counter[str] = Counter()
    with vmlinux.open("rb") as file:
        try:
            for folder, name in _first_units(ELFFile(file)):
                if name.startswith("/"):
                    absolute[os.path.commonpath([folder, str(PurePosixPath(name).parent)])] += 1
                else:
                    relative[folder] += 1
        except Exception:  # the library raises anything at all on hostile files
            return ""
    votes = (absolute or relative).most_common(1)
    return votes[0][0] if votes and votes[0][0] != "/" else ""


def _first_units(elf: ELFFile) -> Iterator[tuple[str, str]]:
    """Absolute folder and name (DW_AT_comp_dir, DW_AT_name) of the first compile units."""
    sections = {key: _read(elf, name) for key, name in _SECTIONS.items()}
    if sections["debug_info_sec"] is None:
        return
    # The library's own way reads and relocates all of the DWARF, which takes minutes.
    dwarf = DWARFInfo(
        DwarfConfig(
            little_endian=elf.little_endian,
            default_address_size=elf.elfclass // 8,
            machine_arch=elf.get_machine_arch(),
        ),
        **{key: sections.get(key) for key in _ARGUMENTS},
    )
    units = itertools.islice(dwarf.iter_CUs(), _MOST_UNITS_OF_ANY_KIND)
    full = (top for unit in units if (top := unit.get_top_DIE()).tag == "DW_TAG_compile_unit")
    for top in itertools.islice(full, _MOST_UNITS):
        attributes = top.attributes
        if "DW_AT_comp_dir" in attributes and "DW_AT_name" in attributes:
            folder = os.path.normpath(attributes["DW_AT_comp_dir"].value.decode())
            if folder.startswith("/"):
                yield folder, attributes["DW_AT_name"].value.decode()


def _read(elf: ELFFile, name: str) -> DebugSectionDescriptor | None:
    """A section; None when there is none, or it is compressed."""
    section = elf.get_section_by_name(name)
    if section is None or section.compressed or section["sh_type"] == "SHT_NOBITS":
        return None
    size = section["sh_size"]
    window = io.BufferedReader(_Window(elf.stream.fileno(), section["sh_offset"], size))
    return DebugSectionDescriptor(window, name, 0, size, 0)


class _Window(io.RawIOBase):
    """A part of a file as a file: the strings of a kernel have tens of megabytes, few are read."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        self._descriptor, self._start, self._size = descriptor, start, size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: Any) -> int:
        wanted = min(len(buffer), max(self._size - self._at, 0))
        data = os.pread(self._descriptor, wanted, self._start + self._at)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
