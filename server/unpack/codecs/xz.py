"""The container that xz packs into: streams of independent blocks, and where each block lies.

Layout: https://tukaani.org/xz/xz-file-format.txt.  What is inside a block is liblzma's.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import corrupt

_MAGIC = b"\xfd7zXZ\0"
_FLAGS_SIZE = 2
_HEADER_SIZE = _FOOTER_SIZE = 12
_PADDING = 4  # everything is a multiple of it
_SIZE_OF_CHECK = {0: 0, 1: 4, 4: 8, 10: 32}  # by its number in the flags
_HAS_PACKED, _HAS_UNPACKED, _RESERVED, _FILTERS = 0x40, 0x80, 0x3C, 0x03
_LZMA2 = 0x21
_LARGEST_DICTIONARY = 40  # as LZMA2 writes it: 4 GiB
_MOST_DIGITS = 9  # of a number, seven bits each
_MOST_BLOCKS = 1 << 18  # of a stream; Debian's largest has 229
_MOST_BYTES_OF_INDEX = 1 << 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block that can be unpacked alone, between `opening` and `closing`.

    `offset` in the package, `packed` without the padding at its end, both and `unpacked` in bytes
    and as they are claimed: liblzma finds out when they are wrong.  `flags` of its stream.
    """

    flags: bytes
    offset: int
    packed: int
    unpacked: int

    @property
    def end(self) -> int:
        return self.offset + self.packed + _padding(self.packed)

    @property
    def opening(self) -> bytes:
        """What makes a stream of this block alone."""
        return _stream_header(self.flags)

    @property
    def closing(self) -> bytes:
        return _closing(self.flags, 1, _record(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockHeader:
    """What a block says of itself: the sizes of its header, of its data (None: not told), and of
    the dictionary that unpacking takes, in bytes."""

    size: int
    packed: int | None
    unpacked: int | None
    dictionary: int

    @property
    def tells_sizes(self) -> bool:
        """As those of packers with threads do: the block after it can be found."""
        return self.packed is not None and self.unpacked is not None


def first_block(package: ByteSource, start: int) -> BlockHeader | None:
    """The first block of the stream at `start`; None when there is none."""
    _stream_flags(package, start)
    return _block_header(package, start + _HEADER_SIZE)


def walk(package: ByteSource, start: int, end: int | None) -> Iterator[Block]:
    """The blocks by the sizes that they tell, as soon as their headers have come.

    `end` of the payload; None: of the package.  Several streams may follow each other.
    Raises `Refused` (`package-corrupt`), also when the index at the end says something else.
    """
    while end is None or start < end:
        if end is None and not package.read_at(start, 1):
            return
        start = yield from _walk_stream(package, start, end)
    if end is not None and start > end:
        raise corrupt("its xz index reaches beyond the payload's end")


def read_index(package: ByteSource, start: int, end: int) -> list[Block] | None:
    """The blocks by the index at the end of the stream between `start` and `end`; None when it
    describes less than lies there: there are several streams.

    Raises `Refused` (`package-corrupt`).
    """
    flags = _stream_flags(package, start)
    footer = package.read_at(end - _FOOTER_SIZE, _FOOTER_SIZE)
    size = 4 * (struct.unpack("<I", footer[4:8])[0] + 1) if len(footer) == _FOOTER_SIZE else 0
    if not 0 < size <= min(_MOST_BYTES_OF_INDEX, end - start):
        raise corrupt("its xz index has an absurd size")
    index = package.read_at(end - _FOOTER_SIZE - size, size)
    count, position = _number(index, 1)
    offset, records = start + _HEADER_SIZE, bytearray()
    blocks = []
    for _ in range(min(count, size)):
        packed, position = _number(index, position)
        unpacked, position = _number(index, position)
        block = Block(flags=flags, offset=offset, packed=packed, unpacked=unpacked)
        records += _record(block)
        offset = block.end
        blocks.append(block)
    if index + footer != _closing(flags, count, bytes(records)):
        raise corrupt("its xz index is damaged")
    if offset > end - _FOOTER_SIZE - size:
        raise corrupt("its xz index describes more than there is")
    return blocks if offset == end - _FOOTER_SIZE - size else None


def _walk_stream(package: ByteSource, start: int, end: int | None) -> Generator[Block, None, int]:
    """The blocks of one stream; returns where the next may begin."""
    flags = _stream_flags(package, start)
    position, count, records = start + _HEADER_SIZE, 0, bytearray()
    while header := _block_header(package, position):
        if header.packed is None or header.unpacked is None:
            raise corrupt("an xz block does not tell its sizes, though others do")
        packed = header.size + header.packed + _SIZE_OF_CHECK[flags[1]]
        block = Block(flags=flags, offset=position, packed=packed, unpacked=header.unpacked)
        if end is not None and block.end > end:
            raise corrupt("an xz block reaches beyond the payload's end")
        if count == _MOST_BLOCKS:
            raise corrupt(f"its xz stream has more than {_MOST_BLOCKS} blocks")
        yield block
        position, count = block.end, count + 1
        records += _record(block)
    closing = _closing(flags, count, bytes(records))
    if package.read_at(position, len(closing)) != closing:
        raise corrupt("its xz index does not describe its blocks")
    position += len(closing)
    while (end is None or position < end) and (
        package.read_at(position, _PADDING) == bytes(_PADDING)
    ):
        position += _PADDING
    return position


def _stream_flags(package: ByteSource, offset: int) -> bytes:
    """Of the stream whose header stands at `offset`."""
    header = package.read_at(offset, _HEADER_SIZE)
    flags = header[len(_MAGIC) :][:_FLAGS_SIZE]
    known = len(flags) == _FLAGS_SIZE and flags[0] == 0 and flags[1] in _SIZE_OF_CHECK
    if not known or header != _stream_header(flags):
        raise corrupt(f"no xz stream begins at offset {offset}")
    return flags


def _block_header(package: ByteSource, offset: int) -> BlockHeader | None:
    """The header of the block at `offset`; None where the index stands."""
    first = package.read_at(offset, 1)
    if first == b"\0":
        return None
    size = 4 * (first[0] + 1) if first else 0
    data = package.read_at(offset, size)
    if len(data) < size or not first or _crc(data[:-4]) != data[-4:] or data[1] & _RESERVED:
        raise corrupt(f"no xz block begins at offset {offset}")
    packed = unpacked = None
    position = 2
    if data[1] & _HAS_PACKED:
        packed, position = _number(data, position)
    if data[1] & _HAS_UNPACKED:
        unpacked, position = _number(data, position)
    return BlockHeader(
        size=size,
        packed=packed,
        unpacked=unpacked,
        dictionary=_dictionary(data[position:-4], 1 + (data[1] & _FILTERS)),
    )


def _dictionary(filters: bytes, count: int) -> int:
    """Bytes of dictionary that the last of `count` filters needs, which is LZMA2."""
    position = 0
    for _ in range(count):
        name, position = _number(filters, position)
        size, position = _number(filters, position)
        properties = filters[position : position + size]
        position += size
    if name != _LZMA2 or len(properties) != 1 or properties[0] > _LARGEST_DICTIONARY:
        raise corrupt("an xz block is packed by an unknown filter")
    return (2 | properties[0] & 1) << (properties[0] // 2 + 11)


def _number(data: bytes, position: int) -> tuple[int, int]:
    """A number written seven bits to a byte, and where it ends."""
    value = 0
    for digit, byte in enumerate(data[position : position + _MOST_DIGITS]):
        value |= (byte & 0x7F) << (7 * digit)
        if byte < 0x80:
            return value, position + digit + 1
    raise corrupt("a number in its xz headers has no end")


def _digits(value: int) -> bytes:
    """A number as `_number` reads it."""
    digits = bytearray()
    while value >= 0x80:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*digits, value))


def _record(block: Block) -> bytes:
    """A block's line in the index."""
    return _digits(block.packed) + _digits(block.unpacked)


def _closing(flags: bytes, count: int, records: bytes) -> bytes:
    """The index and the footer of a stream."""
    index = b"\0" + _digits(count) + records
    index += bytes(_padding(len(index)))
    index += _crc(index)
    tail = struct.pack("<I", len(index) // 4 - 1) + flags
    return index + _crc(tail) + tail + b"YZ"


def _stream_header(flags: bytes) -> bytes:
    return _MAGIC + flags + _crc(flags)


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def _padding(size: int) -> int:
    """Bytes that are lacking to a multiple of four."""
    return -size % _PADDING
