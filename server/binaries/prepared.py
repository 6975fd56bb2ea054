"""Writes a prepared copy of a vmlinux: with gdb's index, without the relocations of the link, with
nothing compressed.  Debuggers open it in a third of the time and see the same in it."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from kernsym.distros import Refused
from kernsym.server.binaries import elf
from kernsym.server.binaries.linux_banner import banners_in
from kernsym.server.binaries.prepared_layout import (
    HEADER_SIZE,
    Header,
    Plan,
    Section,
    plan,
    read_header,
    read_sections,
)

_BLOCK = 1 << 20
_MOST_INFLATED = 16 << 30
_PACKED = 1 << 10  # of zstd at once: it may become ten thousand times as much
_MOST_WINDOW = 1 << 27
_ZLIB, _ZSTD = 1, 2  # ch_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy that was written: size in bytes, digest in hex."""

    size: int
    sha256: str


def write_prepared(vmlinux: Path, index: bytes, target: Path) -> Copy:
    """Write the copy of `vmlinux` with `index` to `target`, whole and synced.

    Raises `Refused` (`elf-unreadable`) for what cannot be copied so, `OSError`.
    """
    with vmlinux.open("rb") as source, target.open("wb") as out:
        try:
            header, sections, layout = _lay_out(source, len(index))
            written = _Hashing(out)
            for piece in _pieces(source, header, sections, layout, index):
                written.write(piece)
        except OSError:
            raise
        except Exception as error:  # of hostile files `struct`, `zlib` and others complain
            raise Refused(
                "elf-unreadable",
                f"no copy of {vmlinux.name} can be made",
                context=(f"{type(error).__name__}: {error}",),
            ) from error
        out.flush()
        os.fsync(out.fileno())
    return Copy(size=written.size, sha256=written.digest.hexdigest())


def require_copy(vmlinux: Path, copy: Path) -> None:
    """Raises `Refused` (`prepared-mismatch`, `elf-unreadable`) unless the copy shows the same build
    ID, banner and symbols as the original."""
    shown = [
        {
            "build ID": elf.build_id(path),
            "banner": banners_in(elf.section(path, ".rodata") or b""),
            "symbols": _digests(path, ".symtab", ".strtab"),
        }
        for path in (vmlinux, copy)
    ]
    different = [name for name in shown[0] if shown[0][name] != shown[1][name]]
    if different:
        raise Refused(
            "prepared-mismatch",
            f"the prepared copy of {vmlinux.name} is not the same kernel: "
            f"{' and '.join(different)} differ",
        )


def _digests(path: Path, *names: str) -> list[str]:
    return [hashlib.sha256(elf.section(path, name) or b"").hexdigest() for name in names]


class _Hashing:
    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, data: bytes) -> None:
        self._out.write(data)
        self.digest.update(data)
        self.size += len(data)


def _lay_out(source: BinaryIO, index_size: int) -> tuple[Header, tuple[Section, ...], Plan]:
    header = read_header(source.read(HEADER_SIZE))
    start, size, count = header.section_headers
    table = b"".join(_bytes(source, start, size * count))
    sections = read_sections(header, table, os.fstat(source.fileno()).st_size)
    names = b"".join(_inflated(source, header, sections[header.names]))
    inflated = {
        number: _compression(source, header, section)[1:]
        for number, section in enumerate(sections)
        if section.compressed
    }
    if sum(size for size, _ in inflated.values()) > _MOST_INFLATED:
        raise ValueError("its compressed sections hold too much")
    end = _segments_end(source, header)
    return header, sections, plan(header, sections, end, names, inflated, index_size)


def _segments_end(source: BinaryIO, header: Header) -> int:
    start, size, count = header.program_headers
    table = b"".join(_bytes(source, start, size * count))
    rows = (table[row * size : (row + 1) * size] for row in range(count))
    ends = [header.shape.file_extent(row) for row in rows]
    return min(max([start + len(table), *ends]), os.fstat(source.fileno()).st_size)


def _pieces(
    source: BinaryIO, header: Header, sections: tuple[Section, ...], layout: Plan, index: bytes
) -> Iterator[bytes]:
    """The bytes of the copy, in order."""
    start = header.packed(sections_at=layout.headers_at, sections=layout.count)
    yield start
    yield from _bytes(source, len(start), layout.fixed - len(start))
    at = layout.fixed
    for piece in layout.pieces:
        yield bytes(piece.offset - at)
        at = piece.offset + piece.size
        if piece.section is None:
            yield index
        else:
            yield from _inflated(source, header, sections[piece.section])
    yield layout.names
    yield bytes(layout.headers_at - layout.names_at - len(layout.names))
    yield layout.headers


def _inflated(source: BinaryIO, header: Header, section: Section) -> Iterator[bytes]:
    """What a section holds.  Raises `ValueError` when it is not as much as it says."""
    if not section.compressed:
        yield from _bytes(source, section.offset, section.size)
        return
    kind, size, _ = _compression(source, header, section)
    begin = header.shape.compression.size
    packed = _bytes(source, section.offset + begin, section.size - begin)
    inflate = {_ZLIB: _unzlib, _ZSTD: _unzstd}[kind]
    for block in inflate(packed):
        size -= len(block)
        if size < 0:
            break
        yield block
    if size:
        raise ValueError("a compressed section does not hold what it says")


def _unzlib(blocks: Iterator[bytes]) -> Iterator[bytes]:
    inflater = zlib.decompressobj()
    for block in blocks:
        yield inflater.decompress(block, _BLOCK)
        while inflater.unconsumed_tail:
            yield inflater.decompress(inflater.unconsumed_tail, _BLOCK)
    yield inflater.flush()


def _unzstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    # One frame, as compilers write it; the window bounds what a block of it can become.
    inflater = zstandard.ZstdDecompressor(max_window_size=_MOST_WINDOW).decompressobj()
    for block in blocks:
        for at in range(0, len(block), _PACKED):
            yield inflater.decompress(block[at : at + _PACKED])


def _compression(source: BinaryIO, header: Header, section: Section) -> tuple[int, int, int]:
    """ch_type, ch_size, ch_addralign."""
    packed = header.shape.compression
    (head,) = [*_bytes(source, section.offset, packed.size)]
    kind, size, alignment = packed.unpack(head)
    return kind, size, alignment


def _bytes(source: BinaryIO, offset: int, size: int) -> Iterator[bytes]:
    if offset + size > os.fstat(source.fileno()).st_size:
        raise EOFError("the file is cut off")
    source.seek(offset)
    while size:
        block = source.read(min(size, _BLOCK))
        if not block:
            raise EOFError("the file is cut off")
        size -= len(block)
        yield block
