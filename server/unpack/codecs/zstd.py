"""What zstd packs into: frames of blocks, whose sizes their headers tell.

Layout: RFC 8878.  What is inside a block is libzstd's.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

import zstandard

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import Payload, corrupt

MOST_OF_A_BLOCK = 1 << 17  # bytes that it unpacks to
_LARGEST_WINDOW = 128 << 20  # bytes: as the zstd command, unless it is told otherwise
_MAGIC, _SKIPPABLE = 0xFD2FB528, 0x184D2A50
_RAW, _RLE, _RESERVED = 0, 1, 3
_LONGEST_HEADER = 18
_BLOCK_HEADER = 3
_CHECKSUM = 4
_RUN = 8  # blocks that are unpacked together: so one piece has a MiB at most
_READ = 2 * MOST_OF_A_BLOCK  # at least one whole block, and of usual ones a run

# Hears where the blocks end that a piece was unpacked from, and the piece.
Seen = Callable[["Frame", int, bytes], None]


def seen_by_nobody(frame: Frame, end: int, piece: bytes) -> None:
    """Nobody marks where the payload can be entered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame that begins at `offset` in the package, its blocks at `blocks`.

    `window`: how far back its blocks reach, in bytes; `descriptor`: how its header writes that,
    None where the frame is no larger than its window.
    """

    offset: int
    blocks: int
    window: int
    descriptor: int | None
    has_checksum: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Some whole blocks, as they are packed, and where they end; `last` of their frame."""

    data: bytes
    end: int
    last: bool


def unpacked(package: ByteSource, payload: Payload, seen: Seen = seen_by_nobody) -> Iterator[bytes]:
    """What a payload unpacks to, in pieces of a MiB at most; `seen` hears of each.

    Raises `Refused` (`package-corrupt`), and what kept the package from coming.
    """
    end = None if payload.size is None else payload.offset + payload.size
    yield from unpacked_frames(package, payload.offset, end, seen)


def unpacked_frames(
    package: ByteSource,
    offset: int,
    end: int | None,
    seen: Seen = seen_by_nobody,
) -> Iterator[bytes]:
    """As `unpacked`, of the frames from one that begins at `offset`."""
    while (end is None or offset < end) and (magic := package.read_at(offset, 4)):
        if int.from_bytes(magic, "little") & ~0xF == _SKIPPABLE:
            offset += 8 + int.from_bytes(package.read_at(offset + 4, 4), "little")
            continue
        frame = read_frame(package, offset)
        decoder = new_decoder()
        try:
            decoder.decompress(package.read_at(offset, frame.blocks - offset))
        except zstandard.ZstdError as error:
            raise corrupt(f"a zstd frame cannot be unpacked: {error}") from error
        offset = yield from unpacked_blocks(package, frame, frame.blocks, decoder, seen)


def unpacked_blocks(
    package: ByteSource,
    frame: Frame,
    offset: int,
    decoder: zstandard.ZstdDecompressionObj,
    seen: Seen = seen_by_nobody,
) -> Generator[bytes, None, int]:
    """What a frame's blocks from `offset` on unpack to; returns where it ends.

    The checksum at the frame's end is left to `decoder`, if that expects one.
    """
    for run in runs(package, offset):
        data, end = run.data, run.end
        if run.last and frame.has_checksum:
            checksum = package.read_at(end, _CHECKSUM)
            data, end = data + checksum, end + len(checksum)
        try:
            piece = b"" if decoder.eof else decoder.decompress(data)
        except zstandard.ZstdError as error:
            raise corrupt(f"a zstd block before offset {end} is damaged: {error}") from error
        if piece:
            seen(frame, end, piece)
            yield piece
    return end


def new_decoder() -> zstandard.ZstdDecompressionObj:
    """Of one frame."""
    return zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompressobj()


def read_frame(package: ByteSource, offset: int) -> Frame:
    """The frame whose header stands at `offset`.  Raises `Refused` (`package-corrupt`)."""
    header = package.read_at(offset, _LONGEST_HEADER)
    try:
        shown = zstandard.get_frame_parameters(header)
        size = zstandard.frame_header_size(header)
    except zstandard.ZstdError as error:
        raise corrupt(f"no zstd frame begins at offset {offset}: {error}") from error
    if shown.window_size > _LARGEST_WINDOW:
        raise corrupt(f"unpacking its zstd frame takes {shown.window_size} bytes of memory")
    is_single = bool(header[4] & 0x20)
    return Frame(
        offset=offset,
        blocks=offset + size,
        window=shown.window_size,
        descriptor=None if is_single else header[5],
        has_checksum=shown.has_checksum,
    )


def raw_block(data: bytes) -> bytes:
    """A block that holds bytes as they are.

    >>> raw_block(b"abc")
    b'\\x18\\x00\\x00abc'
    """
    return (len(data) << 3 | _RAW << 1).to_bytes(_BLOCK_HEADER, "little") + data


def zeros_block(size: int) -> bytes:
    """A block that unpacks to so many zeros.

    >>> zeros_block(3)
    b'\\x1a\\x00\\x00\\x00'
    """
    return (size << 3 | _RLE << 1).to_bytes(_BLOCK_HEADER, "little") + b"\0"


def frame_header(descriptor: int) -> bytes:
    """The header of a frame with a window, without a checksum and a size."""
    return _MAGIC.to_bytes(4, "little") + bytes((0, descriptor))


def runs(package: ByteSource, offset: int) -> Iterator[Run]:
    """The blocks from one that begins at `offset` to the end of its frame.

    Who begins where a run ends sees the same ones.  Raises `Refused` (`package-corrupt`).
    """
    last = False
    while not last:
        data = package.read_at(offset, _READ)
        at = 0
        for _ in range(_RUN):
            header = int.from_bytes(data[at : at + _BLOCK_HEADER], "little")
            kind, size = header >> 1 & 3, header >> 3
            if kind == _RESERVED or size > MOST_OF_A_BLOCK:
                raise corrupt(f"no zstd block begins at offset {offset + at}")
            after = at + _BLOCK_HEADER + (1 if kind == _RLE else size)
            if at + _BLOCK_HEADER > len(data) or after > len(data):
                break
            at, last = after, bool(header & 1)
            if last:
                break
        if not at:
            raise corrupt("it ends before its payload does")
        offset += at
        yield Run(data=data[:at], end=offset, last=last)
