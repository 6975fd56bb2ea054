"""The sections of an ELF file: where their bytes lie in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile

from kernsym.distros import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    """`places`: offset and size in bytes of each section that has any in the file, by its name;
    of several with one name the first counts, as elfutils has it.

    The bytes of a compressed section are what the file holds, header included: that is what
    clients of debuginfod expect (elf_rawdata in elfutils).  `outlined`: the file is what
    `--only-keep-debug` leaves, code and data are in another file with the same build ID.
    """

    places: Mapping[str, tuple[int, int]]
    outlined: bool


def read_sections(path: Path) -> Sections:
    """The sections of a file; some milliseconds, whatever its size.

    Raises `Refused` (`elf-unreadable`), `OSError`.
    """
    names: set[str] = set()
    places: dict[str, tuple[int, int]] = {}
    loaded = outlined = 0
    with path.open("rb") as file:
        end = path.stat().st_size
        try:
            for section in ELFFile(file).iter_sections():
                kind, size, offset = (
                    section[f"sh_{field}"] for field in ("type", "size", "offset")
                )
                if section["sh_flags"] & SH_FLAGS.SHF_ALLOC and kind != "SHT_NOTE":
                    loaded += 1
                    outlined += kind == "SHT_NOBITS"
                if section.name in names:
                    continue
                names.add(section.name)
                if kind not in ("SHT_NOBITS", "SHT_NULL") and size and offset + size <= end:
                    places[section.name] = (offset, size)
        except Exception as error:  # the library raises anything at all on hostile files
            raise Refused(
                "elf-unreadable",
                f"{path.name} is not an ELF file that can be read",
                context=(f"{type(error).__name__}: {error}",),
            ) from error
    return Sections(places=places, outlined=0 < loaded == outlined)
