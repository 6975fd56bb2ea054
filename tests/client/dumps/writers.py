"""Writes tiny dumps of every format from one made-up physical memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cramjam
import lzallright
import zstandard

PAGE = 4096
RELEASE = "6.1.0-18-amd64"
VERSION = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)"
BANNER = (
    f"Linux version {RELEASE} (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14) 12.2.0, "
    f"GNU ld (GNU Binutils for Debian) 2.40) {VERSION}"
)
BUILD_ID = "0123456789abcdef0123456789abcdef01234567"
START_KERNEL_MAP = 0xFFFFFFFF80000000
KASLR = 0x1A000000
PHYS_BASE = -0x1AF00000  # negative, as KASLR makes it when memory is small
IMAGE = 0x1000000 + KASLR + PHYS_BASE  # physical address of _stext: 1 MiB
BANNER_AT = IMAGE + 0x40100
UTSNAME_AT = IMAGE + 0x60000
NOTE_AT = 0x5000  # where VMCOREINFO's page lies

DISPLACEMENT = START_KERNEL_MAP - PHYS_BASE  # of virtual over physical addresses


def vmcoreinfo(**changes: str) -> bytes:
    """The text of VMCOREINFO; `changes` by key, those with "" are left out."""
    values = {
        "OSRELEASE": RELEASE,
        "BUILD-ID": BUILD_ID,
        "PAGESIZE": str(PAGE),
        "SYMBOL(init_uts_ns)": f"{UTSNAME_AT + DISPLACEMENT:x}",
        "OFFSET(uts_namespace.name)": "0",
        "SYMBOL(_stext)": f"{IMAGE + DISPLACEMENT:x}",
        "NUMBER(phys_base)": str(PHYS_BASE),
        "SYMBOL(init_top_pgt)": f"{IMAGE + DISPLACEMENT + 0x70000:x}",
        "KERNELOFFSET": f"{KASLR:x}",
    }
    values.update(changes)
    return "".join(f"{key}={value}\n" for key, value in values.items() if value).encode()


def utsname(release: str = RELEASE, version: str = VERSION, machine: str = "x86_64") -> bytes:
    fields = ("Linux", "(none)", release, version, machine, "(none)")
    return b"".join(value.encode().ljust(65, b"\0") for value in fields)


@dataclass
class Memory:
    """Physical memory: what lies at which address, zeros between; `size` in bytes."""

    contents: dict[int, bytes]
    size: int = 2 << 20

    def image(self) -> bytes:
        data = bytearray(self.size)
        for address, content in self.contents.items():
            data[address : address + len(content)] = content
        return bytes(data)

    def pages(self) -> dict[int, bytes]:
        """The pages that are not zero, by frame."""
        data = self.image()
        cut = {n: data[n * PAGE : (n + 1) * PAGE] for n in range(self.size // PAGE)}
        return {frame: page for frame, page in cut.items() if page.strip(b"\0")}


def memory(*, banner: bool = True, info: bool = False) -> Memory:
    """A kernel in 2 MiB; `info`: with the page that VMCOREINFO is made in."""
    contents = {0: bytes(range(256)) * 4, UTSNAME_AT: utsname()}
    if banner:
        contents[BANNER_AT] = BANNER.encode() + b"\n\0"
    if info:
        contents[NOTE_AT] = vmcoreinfo()
    return Memory(contents)


def note(name: bytes, kind: int, content: bytes, order: str = "<") -> bytes:
    name += b"\0"
    padded = name.ljust((len(name) + 3) // 4 * 4, b"\0")
    body = content.ljust((len(content) + 3) // 4 * 4, b"\0")
    return struct.pack(order + "III", len(name), len(content), kind) + padded + body


def elf(
    held: Memory,
    *,
    order: str = "<",
    machine: int = 62,
    kind: int = 4,
    notes: bytes = b"",
    numerous: bool = False,
    like_qemu: bool = False,
    segments: Iterable[tuple[int, int]] | None = None,
) -> bytes:
    """An ELF core: `numerous` writes PN_XNUM, `like_qemu` its e_ehsize 8 and section table.

    `segments` are (address, size), each stored in full.
    """
    parts = list(segments or [(0, held.size)])
    count = len(parts) + 1
    sections_at = 64 if numerous or like_qemu else 0
    programs_at = 128 if sections_at else 64
    notes_at = programs_at + 56 * count
    data_at = notes_at + len(notes)
    ident = b"\x7fELF" + bytes([2, 1 if order == "<" else 2, 1]) + bytes(9)
    header = ident + struct.pack(
        order + "HHIQQQIHHHHHH",
        *(kind, machine, 1, 0, programs_at, sections_at, 0),
        *(8 if like_qemu else 64, 56, 0xFFFF if numerous else count),
        *((64, 1, 0) if sections_at else (0, 0, 0)),
    )
    section = struct.pack(order + "IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, count, 0, 0)
    programs = struct.pack(order + "IIQQQQQQ", 4, 0, notes_at, 0, 0, len(notes), len(notes), 0)
    body, data = b"", held.image()
    for address, size in parts:
        offset = data_at + len(body)
        programs += struct.pack(order + "IIQQQQQQ", 1, 7, offset, 0, address, size, size, 0)
        body += data[address : address + size]
    return header + (section if sections_at else b"") + programs + notes + body


COMPRESSORS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "": (0, lambda page: page),
    "zlib": (1, zlib.compress),
    "lzo": (2, lambda page: bytes(lzallright.LZOCompressor().compress(page))),
    "snappy": (4, lambda page: bytes(cramjam.snappy.compress_raw(page))),
    "zstd": (0x20, lambda page: zstandard.ZstdCompressor().compress(page)),
}


def kdump(
    held: Memory,
    *,
    version: int = 6,
    compression: str = "zlib",
    order: str = "<",
    info: bytes = b"",
    notes: bytes = b"",
    uts: bytes = bytes(390),
    signature: bytes = b"KDUMP   ",
    part: tuple[int, int] | None = None,
    one_bitmap: bool = False,
) -> bytes:
    """A kdump of the pages that are not zero; `part` makes it one part of a split dump."""
    flag, compress = COMPRESSORS[compression]
    frames = held.size // PAGE
    pages = held.pages()
    first, stop = part or (0, frames)
    bitmap_size = (frames // 8 + PAGE - 1) // PAGE * PAGE
    bitmaps = _bitmap(pages, bitmap_size)
    if not one_bitmap:
        bitmaps = _bitmap(range(frames), bitmap_size) + bitmaps
    sub = _sub_header(order, version, first, stop, frames, info, notes, part is not None)
    header = (signature + struct.pack(order + "i", version) + uts).ljust(424, b"\0") + struct.pack(
        *(order + "IiiIIIIIIi", flag, PAGE, len(sub) // PAGE, len(bitmaps) // PAGE, frames),
        *(0, 0, 0, 0, 1),
    )
    start = header.ljust(PAGE, b"\0") + sub + bitmaps
    mine = [page for frame, page in pages.items() if first <= frame < stop]
    at = len(start) + 24 * len(mine)
    descriptors, body = b"", b""
    for page in mine:
        packed = compress(page)
        used = flag if len(packed) < len(page) else 0
        packed = packed if used else page
        descriptors += struct.pack(order + "qIIQ", at + len(body), len(packed), used, 0)
        body += packed
    return start + descriptors + body


_SUB_HEADER_SIZES = {1: 12, 2: 32, 3: 48, 4: 64, 5: 80, 6: 104}  # by version


def _sub_header(
    order: str,
    version: int,
    first: int,
    stop: int,
    frames: int,
    info: bytes,
    notes: bytes,
    split: bool,
) -> bytes:
    """The sub header, rubbish in later versions' fields, and the texts, in whole blocks."""
    texts = PAGE + 104
    sub = struct.pack(
        order + "qiiQQQQQQQQQQQ",
        *(PHYS_BASE, 31, int(split), first, stop),
        *(texts if info else 0, len(info)),
        *(texts + len(info) if notes else 0, len(notes), 0, 0),
        *(first, stop, frames),
    )
    data = sub[: _SUB_HEADER_SIZES[version]].ljust(104, b"\x07") + info + notes
    return data.ljust((len(data) + PAGE - 1) // PAGE * PAGE, b"\0")


def _bitmap(frames: Iterable[int], size: int) -> bytes:
    bits = bytearray(size)
    for frame in frames:
        bits[frame // 8] |= 1 << frame % 8
    return bytes(bits)


def flatten(data: bytes, *, piece: int = 1000, ended: bool = True) -> bytes:
    """The flattened form, written as its writers do: two parts of it interleaved."""
    half = len(data) // 2 // piece * piece
    lower = [(at, data[at : min(at + piece, half)]) for at in range(0, half, piece)]
    upper = [(at, data[at : at + piece]) for at in range(half, len(data), piece)]
    records = []
    for index in range(max(len(lower), len(upper))):
        records += lower[index : index + 1] + upper[index : index + 1]
    head = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
    body = b"".join(struct.pack(">qq", at, len(part)) + part for at, part in records)
    return head.ljust(PAGE, b"\0") + body + (struct.pack(">qq", -1, -1) if ended else b"")


def checkpoint(
    held: Memory, *, embedded: bool = True, regions: Iterable[tuple[int, int, int]] = ()
) -> bytes:
    """A VMware checkpoint; `regions` are (page in the file, page of memory, pages)."""
    table = list(regions)
    group = _item("regionsCount", (), struct.pack("<I", len(table)))
    for index, values in enumerate(table):
        for field, value in zip(("regionPageNum", "regionPPN", "regionSize"), values, strict=True):
            group += _item(field, (index,), struct.pack("<I", value))
    group += _item("align_mask", (), struct.pack("<I", 0xFFFF))
    if embedded:
        data = held.image()
        group += struct.pack("<H", 6 << 8 | 2 << 6 | 63) + b"Memory" + bytes(8)
        group += struct.pack("<QQH", len(data), len(data), 5) + bytes(5) + data
    group += b"\0\0"
    other = _item("vmVersion", (), struct.pack("<I", 8)) + b"\0\0"
    names = ((b"Checkpoint", other), (b"memory", group))
    at = 12 + 80 * len(names)
    head, body = struct.pack("<III", 0xBED2BED2, 8, len(names)), b""
    for name, content in names:
        head += struct.pack("<64sQQ", name, at + len(body), len(content))
        body += content
    return head + body


def _item(name: str, indices: tuple[int, ...], value: bytes) -> bytes:
    tag = len(name) << 8 | len(indices) << 6 | len(value)
    index = b"".join(struct.pack("<I", number) for number in indices)
    return struct.pack("<H", tag) + name.encode() + index + value


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path
