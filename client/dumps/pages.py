"""Decompresses single memory pages; sizes are bounded whatever the data claims."""

from __future__ import annotations

import zlib
from collections.abc import Callable

# DUMP_DH_COMPRESSED_* of makedumpfile's diskdump_mod.h: flags of a page and of the whole dump.
COMPRESSIONS = {0x01: "zlib", 0x02: "lzo", 0x04: "snappy", 0x20: "zstd"}


class BrokenPage(Exception):
    """The data is not a page compressed by that method."""


def expand(data: bytes, flags: int, size: int) -> bytes:
    """The page of `size` bytes in `data`, compressed as the descriptor's `flags` say.

    Raises `BrokenPage` when that does not give exactly `size` bytes.
    """
    method = next((name for flag, name in COMPRESSIONS.items() if flags & flag), None)
    page = data
    if method is not None:
        try:
            page = _METHODS[method](data, size)
        except Exception as error:  # each library has its own, down to a plain Exception
            raise BrokenPage(f"{method}: {error}") from error
    if len(page) != size:
        raise BrokenPage(f"{len(page)} bytes instead of {size}")
    return page


def _zlib(data: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(data, size)


def _lzo(data: bytes, size: int) -> bytes:
    import lzallright

    return bytes(lzallright.LZOCompressor.decompress(data, size))


def _snappy(data: bytes, size: int) -> bytes:
    import cramjam

    page = bytearray(size)
    return bytes(page[: cramjam.snappy.decompress_raw_into(data, page)])


def _zstd(data: bytes, size: int) -> bytes:
    import zstandard

    # The frame's own size is allocated before anything is checked.
    if zstandard.frame_content_size(data) > size:
        raise BrokenPage("the frame holds more than a page")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=size)


_METHODS: dict[str, Callable[[bytes, int], bytes]] = {
    "zlib": _zlib,
    "lzo": _lzo,
    "snappy": _snappy,
    "zstd": _zstd,
}
