"""VMware checkpoints: `.vmss`, `.vmsn`, with the memory inside or in a `.vmem` beside them.

Groups of tagged items, little endian (volatility and crash's vmware_vmss.c describe it alike):
a tag has the name's length, the number of indices, and the value's size or that it is a block.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

from kernsym.client.dumps.content import Content, FileContent
from kernsym.client.dumps.mapped import Extent, MappedDump, truncated
from kernsym.client.dumps.reader import Headers
from kernsym.distros import Unusable

MAGICS = tuple(
    struct.pack("<I", magic) for magic in (0xBED2BED0, 0xBAD1BAD1, 0xBED2BED2, 0xBED3BED3)
)

_PAGE = 4096
_GROUP = struct.Struct("<64sQQ")
_MOST_GROUPS = 1024
_MOST_ITEMS = 10_000
_COMPRESSED, _BLOCK = 62, 63  # value sizes with a meaning of their own
_BLOCK_HEADER = struct.Struct("<QQH")  # bytes in the file, bytes in memory, padding

_SUFFIXES = (".vmsn", ".vmss")


@dataclass(slots=True)
class _Memory:
    """The group `memory`: where the block of memory is, and the regions it consists of."""

    offset: int = 0
    size: int = 0
    count: int = 0
    regions: dict[int, dict[str, int]] = field(default_factory=dict)


def read_vmware(content: Content) -> MappedDump:
    """The checkpoint in `content`, with its memory wherever that is.

    Raises `Unusable` (`dump-damaged`, `dump-incomplete`, `dump-foreign`).
    """
    memory = _parse(content)
    suffix = content.path.suffix.lower()
    regions = _regions(content.path, memory)
    held = content
    if not memory.size:
        held = _open_vmem(content.path)
        content.close()
    return MappedDump(
        held,
        path=content.path,
        format=suffix[1:] if suffix in _SUFFIXES else "vmss" if memory.size else "vmsn",
        headers=Headers(arch="x86_64"),
        extents=regions or [Extent(0, memory.size or held.size, memory.offset)],
    )


def checkpoint_beside(path: Path) -> Path | None:
    """For a `.vmem` the `.vmsn` or `.vmss` beside it, which alone says where memory belongs."""
    if path.suffix.lower() != ".vmem":
        return None
    names = (path.with_suffix(suffix) for suffix in _SUFFIXES)
    return next((name for name in names if name.is_file()), None)


def _open_vmem(checkpoint: Path) -> FileContent:
    vmem = checkpoint.with_suffix(".vmem")
    if not vmem.exists():
        raise Unusable(
            "dump-incomplete",
            f"{checkpoint} holds no memory, and there is no {vmem.name} beside it",
            hint=f"copy {vmem.name} from the virtual machine's folder to {vmem.parent}",
        )
    return FileContent(vmem)


def _parse(content: Content) -> _Memory:
    (count,) = struct.unpack("<I", content.read(8, 4).ljust(4, b"\0"))
    if not 0 < count <= _MOST_GROUPS:
        raise _damaged(content.path, f"{count} groups")
    for index in range(count):
        entry = content.read(12 + index * _GROUP.size, _GROUP.size)
        if len(entry) < _GROUP.size:
            raise truncated(content.path, content.size, _GROUP.size - len(entry))
        name, position, _ = _GROUP.unpack(entry)
        if name.split(b"\0")[0] == b"memory":
            return _parse_memory(content, position)
    raise _damaged(content.path, "no group of memory")


def _parse_memory(content: Content, at: int) -> _Memory:
    memory = _Memory()
    for _ in range(_MOST_ITEMS):
        (tag,) = struct.unpack("<H", content.read(at, 2).ljust(2, b"\0"))
        if tag == 0:  # the end, also of a file that is cut off
            return memory
        size, indices, name_size = tag & 0x3F, tag >> 6 & 3, tag >> 8
        head = content.read(at + 2, name_size + 4 * indices + _BLOCK_HEADER.size)
        name = head[:name_size].decode("ascii", "replace")
        if len(head) < name_size + 4 * indices:
            return memory
        index = struct.unpack_from(f"<{indices}I", head, name_size)
        at += 2 + name_size + 4 * indices
        if size not in (_COMPRESSED, _BLOCK):
            value = int.from_bytes(content.read(at, size), "little")
            _take_value(memory, name, index[0] if index else 0, value)
            at += size
            continue
        block = head[name_size + 4 * indices :].ljust(_BLOCK_HEADER.size, b"\0")
        stored, length, padding = _BLOCK_HEADER.unpack(block)
        at += _BLOCK_HEADER.size + padding
        if name == "Memory" and length:
            if size == _COMPRESSED:
                raise Unusable(
                    "dump-foreign",
                    f"the memory in {content.path} is compressed, expected it as it is",
                    hint="take a snapshot with memory instead of suspending the machine",
                )
            memory.offset, memory.size = at, length
        at += stored
    raise _damaged(content.path, "its group of memory has no end")


def _take_value(memory: _Memory, name: str, index: int, value: int) -> None:
    if name == "regionsCount":
        memory.count = value
    elif name in ("regionPageNum", "regionPPN", "regionSize"):
        memory.regions.setdefault(index, {})[name] = value


def _regions(path: Path, memory: _Memory) -> list[Extent]:
    """Where each region lies: its pages in the memory file, its place in the machine.

    Machines with less than 3 GiB have none: all their memory is one piece from 0 on.
    """
    found = []
    for index in range(min(memory.count, _MOST_ITEMS)):
        region = memory.regions.get(index, {})
        if len(region) < 3:
            raise _damaged(path, f"region {index} of {memory.count} is not described")
        found.append(
            Extent(
                region["regionPPN"] * _PAGE,
                region["regionSize"] * _PAGE,
                memory.offset + region["regionPageNum"] * _PAGE,
            )
        )
    return found


def _damaged(path: Path, reason: str) -> Unusable:
    return Unusable(
        "dump-damaged",
        f"{path} begins like a VMware checkpoint, but is broken: {reason}",
        hint="copy it again from the virtual machine's folder, and compare checksums",
    )
