"""The kdump header and sub header, checked; structures as in makedumpfile's diskdump_mod.h."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kernsym.client.dumps.content import Content
from kernsym.client.dumps.mapped import truncated
from kernsym.distros import Unusable

DESCRIPTOR = struct.Struct("<qIIQ")  # offset, size, flags, page_flags

_UTSNAME = 12  # after the signature and the version: six fields of 65 bytes
_FIELD = 65
_AFTER_TIME = {64: 424, 32: 412}  # the timestamp's size and alignment depend on the machine
_BLOCK_SIZES = (4096, 8192, 16384, 32768, 65536)
_VERSIONS = range(1, 7)
_MOST_FRAMES = 1 << 40  # 4 PiB of 4 KiB pages, and the bitmap must be in the file


@dataclass(frozen=True, slots=True, kw_only=True)
class KdumpHeader:
    """Where everything is (offsets and sizes in bytes), and what the kernel says of itself.

    `order`: `<` or `>`.  `status`: the compression's flag.  Frames are numbers of pages of
    `block_size`; the dump stores some of [first_frame, last_frame).  `present_offset` is of the
    bitmap of frames that there are, `stored_offset` of those stored; `descriptor` is the layout
    of a page descriptor in this byte order.  `vmcoreinfo` and `notes`: offset and size, 0 without.
    """

    order: str
    descriptor: struct.Struct
    release: str
    version: str
    machine: str
    status: int
    block_size: int
    frames: int
    first_frame: int
    last_frame: int
    split: bool
    phys_base: int
    present_offset: int
    stored_offset: int
    descriptors_offset: int
    vmcoreinfo: tuple[int, int]
    notes: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _SubHeader:
    """The fields of every version, 0 where this version does not have them."""

    phys_base: int = 0
    split: int = 0
    start: int = 0
    end: int = 0
    vmcoreinfo_offset: int = 0
    vmcoreinfo_size: int = 0
    notes_offset: int = 0
    notes_size: int = 0
    frames: int = 0


def parse_header(content: Content) -> KdumpHeader:
    """Raises `Unusable` (`dump-damaged`, `dump-foreign`, `dump-truncated`)."""
    data = content.read(0, 512)
    if len(data) < 464:
        raise truncated(content.path, content.size, 464 - len(data))
    order = _byte_order(content, data)
    status, block, sub_blocks, bitmap_blocks, frames = struct.unpack_from(
        order + "IiiII", data, _AFTER_TIME[64]
    )
    sub = _sub_header(content, data, order, block)
    frames = sub.frames or frames
    needed = (frames + 7) // 8
    if not 0 < sub_blocks < 1 << 20 or not 0 < frames < _MOST_FRAMES:
        raise _damaged(content, f"{sub_blocks} blocks of sub header, {frames} page frames")
    if bitmap_blocks * block < needed:
        raise _damaged(content, f"{bitmap_blocks} blocks of bitmap for {frames} page frames")
    first = (1 + sub_blocks) * block
    half = bitmap_blocks // 2 * block
    last_frame = min(sub.end, frames) if sub.split else frames
    release, version, machine = _utsname(data)
    return KdumpHeader(
        order=order,
        descriptor=struct.Struct(order + DESCRIPTOR.format[1:]),
        release=release,
        version=version,
        machine=machine,
        status=status,
        block_size=block,
        frames=frames,
        first_frame=min(sub.start, last_frame) if sub.split else 0,
        last_frame=last_frame,
        split=bool(sub.split),
        phys_base=sub.phys_base,
        present_offset=first,
        # One bitmap only, in dumps that left nothing out (the old diskdump's).
        stored_offset=first + (half if half >= needed else 0),
        descriptors_offset=first + bitmap_blocks * block,
        vmcoreinfo=(sub.vmcoreinfo_offset, sub.vmcoreinfo_size),
        notes=(sub.notes_offset, sub.notes_size),
    )


def _byte_order(content: Content, data: bytes) -> str:
    """The order in which version and block size make sense, on a 64-bit machine."""
    for order in "<>":
        (version,) = struct.unpack_from(order + "i", data, 8)
        blocks = {
            bits: struct.unpack_from(order + "i", data, at + 4)[0]
            for bits, at in _AFTER_TIME.items()
        }
        if version not in _VERSIONS:
            continue
        if blocks[64] in _BLOCK_SIZES:
            return order
        if blocks[32] in _BLOCK_SIZES:
            raise Unusable(
                "dump-foreign",
                f"{content.path} is a kdump of a 32-bit machine, expected a 64-bit one",
                hint="kernsym reads dumps of 64-bit kernels only",
            )
    raise _damaged(content, "neither version nor block size make sense")


def _sub_header(content: Content, data: bytes, order: str, offset: int) -> _SubHeader:
    """The sub header: version by version it grew at its end."""
    (version,) = struct.unpack_from(order + "i", data, 8)
    if data.startswith(b"DISKDUMP"):  # it has a processor's registers there instead
        return _SubHeader()
    sub = content.read(offset, 104)
    if len(sub) < 104:
        raise truncated(content.path, content.size, offset + 104 - content.size)
    (phys_base, _level, split, start, end) = struct.unpack_from(order + "qiiQQ", sub)
    info_offset, info_size, notes_offset, notes_size = struct.unpack_from(order + "QQQQ", sub, 32)
    start_64, end_64, frames = struct.unpack_from(order + "QQQ", sub, 80)
    return _SubHeader(
        phys_base=phys_base,
        split=split if version >= 2 else 0,
        start=start_64 if version >= 6 else start,
        end=end_64 if version >= 6 else end,
        vmcoreinfo_offset=info_offset if version >= 3 else 0,
        vmcoreinfo_size=info_size if version >= 3 else 0,
        notes_offset=notes_offset if version >= 4 else 0,
        notes_size=notes_size if version >= 4 else 0,
        frames=frames if version >= 6 else 0,
    )


def _utsname(data: bytes) -> tuple[str, str, str]:
    """Release, version and machine; "" for what is not printable ASCII, so no kernel's."""
    found = []
    for number in (2, 3, 4):
        start = _UTSNAME + number * _FIELD
        text = data[start : start + _FIELD].split(b"\0")[0].decode("ascii", "replace")
        found.append(text if text.isascii() and text.isprintable() else "")
    release, version, machine = found
    return release, version, machine


def _damaged(content: Content, reason: str) -> Unusable:
    return Unusable(
        "dump-damaged",
        f"{content.path} begins like a kdump, but its header is broken: {reason}",
        hint="copy the dump again, and compare checksums",
    )
