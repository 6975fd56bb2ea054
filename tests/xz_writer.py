"""Writes .xz streams of several blocks, as packers with threads do, and such as nobody should."""

from __future__ import annotations

import lzma
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

_FLAGS = b"\0\4"  # checked by CRC-64
_STREAM_HEADER = 12
_LZMA2 = b"\x21\1\x16"  # with a dictionary of 8 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class XzBlock:
    """A block with what its stream's index says of it, in bytes."""

    content: bytes
    packed: int
    unpacked: int


def xz(data: bytes, *, block_size: int = 1 << 16, tell_sizes: bool = True) -> bytes:
    """`data` in blocks, which tell their sizes when `tell_sizes`."""
    starts = range(0, len(data), block_size)
    return stream(block(data[at : at + block_size], tell_sizes=tell_sizes) for at in starts)


def block(data: bytes, *, tell_sizes: bool = True, claim: int | None = None) -> XzBlock:
    """`data` packed; `claim`: what the header says instead of its size."""
    alone = lzma.compress(data)
    size = 4 * (alone[_STREAM_HEADER] + 1)
    index_size = 4 * (struct.unpack("<I", alone[-8:-4])[0] + 1)
    index = alone[-12 - index_size : -12]
    packed_all = _number(index[2:])
    body = alone[_STREAM_HEADER + size : -12 - index_size]
    packed = packed_all - size - 8
    sizes = digits(packed) + digits(len(data) if claim is None else claim) if tell_sizes else b""
    header = bytes((0xC0 if tell_sizes else 0,)) + sizes + _LZMA2
    header += bytes(-(len(header) + 1) % 4)
    header = bytes(((len(header) + 5) // 4 - 1,)) + header
    header += crc(header)
    packed += len(header) + 8
    return XzBlock(content=header + body, packed=packed, unpacked=len(data))


def stream(blocks: Iterable[XzBlock], records: list[tuple[int, int]] | None = None) -> bytes:
    """The blocks as a stream; `records` are what the index says instead of the truth."""
    blocks = list(blocks)
    if records is None:
        records = [(block.packed, block.unpacked) for block in blocks]
    index = b"\0" + digits(len(records))
    index += b"".join(digits(packed) + digits(unpacked) for packed, unpacked in records)
    index += bytes(-len(index) % 4)
    index += crc(index)
    tail = struct.pack("<I", len(index) // 4 - 1) + _FLAGS
    content = b"".join(block.content for block in blocks)
    return b"\xfd7zXZ\0" + _FLAGS + crc(_FLAGS) + content + index + crc(tail) + tail + b"YZ"


def digits(value: int) -> bytes:
    """A number, seven bits to a byte, the lowest first."""
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))


def crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def _number(data: bytes) -> int:
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return value
