"""Keeps what is held for a kernel: files, their build IDs and their manifest; disk only."""

from kernsym.cache.bundle import Bundle, BundleFile, FileRole, Prepared, Unchecked, Verification
from kernsym.cache.file_search import FileMatch, FileSearch
from kernsym.cache.foreign import Foreign, LooseFile
from kernsym.cache.held import Held
from kernsym.cache.known_members import KnownKernel, Member
from kernsym.cache.places import read_config, store_folder
from kernsym.cache.placing import placed
from kernsym.cache.store import Store

__all__ = [
    "Bundle",
    "BundleFile",
    "FileMatch",
    "FileRole",
    "FileSearch",
    "Foreign",
    "Held",
    "KnownKernel",
    "LooseFile",
    "Member",
    "Prepared",
    "Store",
    "Unchecked",
    "Verification",
    "placed",
    "read_config",
    "store_folder",
]
