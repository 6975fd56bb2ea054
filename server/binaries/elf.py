"""What an ELF file says of itself: build ID, debug file, symbols, and the bytes of a section."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from kernsym.distros import Refused
from kernsym.server.binaries.elf_notes import notes

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

_Answer = TypeVar("_Answer")

# The longest build ID that linkers write is a SHA-1; some hand-made ones are longer.
_MOST_BUILD_ID_DIGITS = 64
_BUILD_ID = 3  # NT_GNU_BUILD_ID
_MACHINES = {
    "EM_X86_64": "x86_64",
    "EM_386": "i686",
    "EM_AARCH64": "aarch64",
    "EM_ARM": "armv7l",
    "EM_PPC64": "ppc64",
    "EM_S390": "s390x",
    "EM_RISCV": "riscv64",
}


def build_id(path: Path) -> str | None:
    """The build ID in lower-case hex; None when the file carries none.

    It is the note of owner `GNU`, type 3: the notes of a vmlinux begin with others.
    Raises `Refused` (`elf-unreadable`).
    """
    with _reading(path) as file:
        for owner, kind, content in notes(file):
            if owner == b"GNU" and kind == _BUILD_ID:
                return content.hex() if 8 <= 2 * len(content) <= _MOST_BUILD_ID_DIGITS else None
    return None


def machine(path: Path) -> str:
    """The processor that a file is for, as `uname -m` spells it; "unknown" for a rare one.

    Raises `Refused` (`elf-unreadable`).
    """

    def name(elf: ELFFile) -> str:
        found = _MACHINES.get(elf["e_machine"], "unknown")
        return f"{found}le" if found == "ppc64" and elf.little_endian else found

    return _ask(path, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class DebugLink:
    """The debug file that a stripped file names: `crc` is the CRC-32 of all its bytes."""

    name: str
    crc: int


def debug_link(path: Path) -> DebugLink | None:
    """What `.gnu_debuglink` names (binutils' objcopy: a name, zeros up to a multiple of four, the
    CRC); None when there is none.

    Raises `Refused` (`elf-unreadable`).
    """
    return _ask(path, _debug_link)


def symbols(path: Path, names: Collection[str]) -> dict[str, int]:
    """The addresses of those of `names` that `.symtab` defines once.

    Raises `Refused` (`elf-unreadable`).
    """
    return _ask(path, lambda elf: _symbols(elf, names))


def section(path: Path, name: str) -> bytes | None:
    """The content of a section; None when there is none of that name, or only its outline.

    Raises `Refused` (`elf-unreadable`).
    """
    return _ask(path, lambda elf: _section(elf, name))


def _ask(path: Path, question: Callable[[ELFFile], _Answer]) -> _Answer:
    from elftools.elf.elffile import ELFFile  # late: who only wants a build ID does without

    with _reading(path) as file:
        return question(ELFFile(file))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        try:
            yield file
        except Exception as error:  # the library raises anything at all on hostile files
            raise Refused(
                "elf-unreadable",
                f"{path.name} is not an ELF file that can be read",
                context=(f"file  {path}", f"{type(error).__name__}: {error}"),
            ) from error


def _debug_link(elf: ELFFile) -> DebugLink | None:
    content = _section(elf, ".gnu_debuglink") or b""
    name, zero, _ = content.partition(b"\0")
    at = (len(name) + 4) & ~3
    if not name or not zero or len(content) < at + 4:
        return None
    crc = int.from_bytes(content[at : at + 4], "little" if elf.little_endian else "big")
    return DebugLink(name=name.decode("utf-8", "replace"), crc=crc)


def _symbols(elf: ELFFile, names: Collection[str]) -> dict[str, int]:
    """By hand: the library takes two seconds for 20,000 symbols."""
    found, table = elf.get_section_by_name(".symtab"), _section(elf, ".symtab")
    if found is None or table is None:
        return {}
    strings: bytes = elf.get_section(found["sh_link"]).data()
    at = {offset: name for name in names for offset in _ends(strings, name.encode() + b"\0")}
    order, wide = "<" if elf.little_endian else ">", elf.elfclass == 64
    entry = struct.Struct(order + ("IBBHQQ" if wide else "IIIBBH"))
    section_at, value_at = (3, 4) if wide else (5, 1)
    addresses: dict[str, set[int]] = {}
    for fields in entry.iter_unpack(table):
        if fields[0] in at and fields[section_at]:  # 0: not defined here
            addresses.setdefault(at[fields[0]], set()).add(fields[value_at])
    return {name: values.pop() for name, values in addresses.items() if len(values) == 1}


def _ends(strings: bytes, name: bytes) -> Iterator[int]:
    """Where a name stands: linkers let it be the end of a longer one."""
    offset = strings.find(name)
    while offset >= 0:
        yield offset
        offset = strings.find(name, offset + 1)


def _section(elf: ELFFile, name: str) -> bytes | None:
    found = elf.get_section_by_name(name)
    if found is None or found["sh_type"] == "SHT_NOBITS":
        return None
    content: bytes = found.data()
    return content
