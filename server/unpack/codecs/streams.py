"""Unpacks what has to be read from its beginning: bzip2, lzma, xz in one block."""

from __future__ import annotations

import bz2
import lzma
from collections.abc import Callable, Iterator
from typing import Protocol

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import Payload, corrupt

_MOST_MEMORY = 256 << 20  # of a decoder; `xz -9` takes 65 MiB
_INPUT = 1 << 16  # bytes: what they become mostly fits into a piece, so that nothing waits inside
_PIECE = 1 << 20


class _Decoder(Protocol):
    """As those of `lzma` and `bz2`."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


_DECODERS: dict[str, Callable[[], _Decoder]] = {
    "bzip2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MOST_MEMORY),
    "lzma": lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_MOST_MEMORY),
}


def unpacked_stream(package: ByteSource, payload: Payload) -> Iterator[bytes]:
    """What a payload unpacks to, in pieces.  Raises `Refused` (`package-corrupt`), and what kept
    the package from coming."""
    new_decoder = _DECODERS.get(payload.filter)
    if new_decoder is None:
        yield from read_packed(package, payload)
        return
    decoder = new_decoder()
    for data in read_packed(package, payload):
        while data:
            if decoder.eof:  # streams may follow each other, with zeros between them
                data = data.lstrip(b"\0")
                if not data:
                    break
                decoder = new_decoder()
            try:
                yield from _decoded(decoder, data)
            except (lzma.LZMAError, OSError, EOFError) as error:
                raise corrupt(f"its {payload.filter} stream is damaged: {error}") from error
            data = decoder.unused_data if decoder.eof else b""
    if not decoder.eof:
        raise corrupt(f"its {payload.filter} stream has no end")


def _decoded(decoder: _Decoder, data: bytes) -> Iterator[bytes]:
    """What a decoder makes of more input, in pieces."""
    more = True
    while more:
        piece = decoder.decompress(data, _PIECE)
        if piece:
            yield piece
        data = b""
        more = not decoder.eof and not decoder.needs_input


def read_packed(package: ByteSource, payload: Payload) -> Iterator[bytes]:
    """The payload as it is packed."""
    position = payload.offset
    end = None if payload.size is None else position + payload.size
    while end is None or position < end:
        data = package.read_at(position, _INPUT if end is None else min(_INPUT, end - position))
        if not data and end is None:
            return
        if not data:
            raise corrupt("it ends before its payload does")
        yield data
        position += len(data)
