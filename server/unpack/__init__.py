"""Unpacks packages while they come: one pass, wanted members only, flat memory.

    package ─payload.py─► archive.py (libarchive) ─► extract.py (vmlinux, modules, System.map)
       │     │  │                               ├──► sources.py (the source tree)
       │     │  └─► index_maker.py              └──► listing.py (build IDs of all modules)
       │     ├ packages/ (where the packed files lie) and codecs/ (what unpacks them)
       └─entering/: whereabouts.py ─► entrances.py ─► archive.py ─► pick.py (single members)

A kind of package is told by its first bytes; it only has to say where its payload lies.  A pass
that reads one through leaves an index, by which later ones find members without a pass.
"""

from kernsym.server.unpack.entering.index_file import drop_index, keep_index
from kernsym.server.unpack.extract import Pass, extract, extract_found
from kernsym.server.unpack.listing import list_modules
from kernsym.server.unpack.member_file import ExtractedFile, Member
from kernsym.server.unpack.sources import SourceTree, extract_sources

__all__ = [
    "ExtractedFile",
    "Member",
    "Pass",
    "SourceTree",
    "drop_index",
    "extract",
    "extract_found",
    "extract_sources",
    "keep_index",
    "list_modules",
]
