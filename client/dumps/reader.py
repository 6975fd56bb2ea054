"""What every dump format offers: facts from its headers, and physical memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kernsym.distros import Fingerprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A run of physical memory that the dump describes: address and size in bytes."""

    address: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Headers:
    """What a format's headers say, each None where they do not.

    `arch` as `uname -m` spells it; `release`, `version`, `machine` are utsname fields;
    `vmcoreinfo` the raw note text, `vmcoreinfo_from` where it was: `note` or `header`;
    `phys_base` as x86-64 Linux has it; `compression` of pages: zlib, lzo, snappy, zstd or "";
    `missing`: bytes that the headers promise and the file lacks, at least; `split`: the file is
    one part of several.
    """

    arch: str | None = None
    release: str | None = None
    version: str | None = None
    machine: str | None = None
    vmcoreinfo: bytes | None = None
    vmcoreinfo_from: str | None = None
    phys_base: int | None = None
    compression: str = ""
    missing: int = 0
    split: bool = False


# Pieces of memory of at most a megabyte, each (address, writable view) and valid until the next is
# asked for.
Chunks = Iterator[tuple[int, memoryview]]


class DumpReader(Protocol):
    """An open dump.  Raises `Unusable` from its constructor when the headers do not hold."""

    @property
    def path(self) -> Path:
        """The file that a debugger is given: for a `.vmem` the `.vmsn` or `.vmss` beside it."""
        ...

    @property
    def format(self) -> str:
        """`elf`, `kdump`, either with `-flattened`, `vmss`, `vmsn`, `raw`."""
        ...

    @property
    def headers(self) -> Headers: ...

    def segments(self) -> tuple[Segment, ...]:
        """The physical memory that the dump covers, ascending, not overlapping."""
        ...

    def read(self, address: int, size: int) -> bytes:
        """`size` bytes of physical memory; what the dump left out (filtered pages) is zeros.

        Raises `Unusable` when the dump is cut off or a page does not decompress.
        """
        ...

    def parts(self) -> Iterator[Chunks]:
        """Physical memory in parts of some megabytes, ascending, holes skipped, each in pieces.

        What cannot be read (a cut file, a broken page) is skipped.  With `concurrent` each part may
        be gone through by a thread of its own, else before the next part is asked for.
        """
        ...

    @property
    def concurrent(self) -> bool: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpFacts:
    """What identifying a dump brought to light; `fingerprint` is the part that travels.

    `path`: the file that a debugger is given.  `size` of that file, `memory` covered, in bytes.
    `vmcoreinfo_from`: `note`, `header`, `memory` or None; `banner_from`: `memory` or None;
    `banner_address` physical.  `kaslr_offset` (bytes, KERNELOFFSET) and `phys_base` (may be
    negative) are None when unknown.  `rejected`: other banners seen, each with the reason.
    `needs_address`: crash wants `@0x0` after the file's name and the options `--kaslr` and
    `-m phys_base` (raw memory).  `missing` and `split` as in `Headers`.
    """

    path: str
    format: str
    compression: str
    size: int
    memory: int
    fingerprint: Fingerprint
    vmcoreinfo_from: str | None = None
    banner_from: str | None = None
    banner_address: int | None = None
    kaslr_offset: int | None = None
    phys_base: int | None = None
    rejected: tuple[tuple[str, str], ...] = ()
    needs_address: bool = False
    missing: int = 0
    split: bool = False
