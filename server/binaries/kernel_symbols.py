"""Where a kernel's own symbols lie: what tells two builds apart that have one banner.

A rebuild of one source may carry the date of that source, as SUSE's do, and before Linux 5.9 a dump
shows no build ID.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kernsym.server.binaries import elf

_START = "_stext"
# Symbols of VMCOREINFO (kernel/crash_core.c) that lie in the kernel's image; others that it has,
# such as mem_section, hold addresses of memory that was allocated.
_SYMBOLS = (
    "init_uts_ns", "node_online_map", "vmap_area_list", "vmlist", "contig_page_data", "log_buf",
    "log_end", "log_buf_len", "log_first_idx", "log_next_idx", "logged_chars", "prb", "clear_seq",
    "init_level4_pgt", "init_top_pgt", "kallsyms_names",
)  # fmt: skip
_STATED = re.compile(r"^SYMBOL\((?P<name>\w+)\)=(?P<address>[0-9a-f]{1,16})$", re.MULTILINE)
_FEWEST = 2


def places_in(vmlinux: Path) -> dict[str, int]:
    """How many bytes from `_stext` on symbols lie, by name; {} when it has no symbol table.

    Raises `Refused` (`elf-unreadable`).
    """
    return _from_start(elf.symbols(vmlinux, (_START, *_SYMBOLS)))


def compare(vmcoreinfo: str, places: Mapping[str, int]) -> tuple[str, str] | None:
    """What a dump's VMCOREINFO says of symbols, and what a vmlinux says of the same; None when
    they have too few in common to tell anything."""
    stated = _STATED.finditer(vmcoreinfo)
    dump = _from_start({found["name"]: int(found["address"], 16) for found in stated})
    names = [name for name in _SYMBOLS if name in dump and name in places]
    if len(names) < _FEWEST:
        return None
    return _text(dump, names), _text(places, names)


def _from_start(addresses: Mapping[str, int]) -> dict[str, int]:
    """Distances from `_stext`, which KASLR does not change."""
    start = addresses.get(_START)
    if start is None:
        return {}
    return {name: addresses[name] - start for name in _SYMBOLS if name in addresses}


def _text(places: Mapping[str, int], names: list[str]) -> str:
    return " ".join(f"{name}+{places[name]:#x}" for name in names)
