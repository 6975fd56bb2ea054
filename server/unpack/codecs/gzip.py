"""Unpacks gzip by libz itself: it can stop where a block begins, and go on from there another time.

https://zlib.net/manual.html.  libarchive has brought libz along.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
from collections.abc import Generator, Iterator
from typing import Protocol

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packed import Payload, corrupt

WINDOW = 1 << 15  # bytes that a block may reach back
_libz = ctypes.CDLL("libz.so.1")
_libz.zlibVersion.restype = ctypes.c_char_p
_VERSION = _libz.zlibVersion()
_GZIP, _RAW = 15 + 16, -15  # window bits: with a header and a checksum, with neither
_TRAILER = 8  # bytes behind the blocks: checksum and size
_NO_FLUSH, _BLOCK = 0, 5
_OK, _STREAM_END, _BUFFER_ERROR = 0, 1, -5
_UNUSED_BITS, _LAST_BLOCK, _AT_BLOCK = 0x07, 0x40, 0x80  # of data_type

_INPUT = 1 << 16  # bytes
_PIECE = 1 << 18


class _Stream(ctypes.Structure):
    """z_stream."""

    _fields_ = (
        ("next_in", ctypes.c_char_p),
        ("avail_in", ctypes.c_uint),
        ("total_in", ctypes.c_ulong),
        ("next_out", ctypes.c_void_p),
        ("avail_out", ctypes.c_uint),
        ("total_out", ctypes.c_ulong),
        ("message", ctypes.c_char_p),
        ("state", ctypes.c_void_p),
        ("zalloc", ctypes.c_void_p),
        ("zfree", ctypes.c_void_p),
        ("opaque", ctypes.c_void_p),
        ("data_type", ctypes.c_int),
        ("adler", ctypes.c_ulong),
        ("reserved", ctypes.c_ulong),
    )


class Marker(Protocol):
    """Is told where blocks begin from the position `wanted` on, in bytes of what is unpacked."""

    wanted: int

    def mark(self, position: int, offset: int, bits: int, window: bytes) -> None:
        """A block begins at `position`: in the package in the last `bits` bits of the byte before
        `offset`.  `window`: what comes before it, as far as the block may reach back."""
        ...


def unpacked(
    package: ByteSource, payload: Payload, marker: Marker | None = None
) -> Iterator[bytes]:
    """What a payload unpacks to, in pieces.  Raises `Refused` (`package-corrupt`), and what kept
    the package from coming."""
    offset: int | None = payload.offset
    position, end = 0, _end(payload)
    while offset is not None:
        with contextlib.closing(_Inflater(_GZIP)) as inflater:
            after = yield from _inflated(package, inflater, offset, end, marker, position)
            position += inflater.size
        offset = _next_stream(package, after, end)


def unpacked_from(
    package: ByteSource, payload: Payload, offset: int, bits: int, window: bytes
) -> Iterator[bytes]:
    """As `unpacked`, from a block on that a `Marker` was told of; no checksum is compared."""
    end = _end(payload)
    with contextlib.closing(_Inflater(_RAW)) as inflater:
        if bits:
            inflater.begin_with(bits, package.read_at(offset - 1, 1))
        inflater.look_back(window)
        after = yield from _inflated(package, inflater, offset, end, None, 0)
    begin = _next_stream(package, after + _TRAILER, end)
    if begin is not None:
        size = None if end is None else end - begin
        yield from unpacked(package, dataclasses.replace(payload, offset=begin, size=size))


class _Inflater:
    """libz's decoder of one stream."""

    def __init__(self, window_bits: int) -> None:
        self.ended = False
        self._stream = _Stream()
        self._output = ctypes.create_string_buffer(_PIECE)
        size = ctypes.sizeof(_Stream)
        self._call("inflateInit2_", window_bits, ctypes.c_char_p(_VERSION), size)

    @property
    def size(self) -> int:
        """Bytes that have come out."""
        return int(self._stream.total_out)

    @property
    def unread(self) -> int:
        """Bytes of the input that are left."""
        return int(self._stream.avail_in)

    @property
    def bits_before_block(self) -> int | None:
        """Where a block begins, how many bits of it are in the byte before; None elsewhere."""
        state = self._stream.data_type
        return state & _UNUSED_BITS if state & _AT_BLOCK and not state & _LAST_BLOCK else None

    def feed(self, data: bytes) -> None:
        self._stream.next_in, self._stream.avail_in = data, len(data)

    def inflate(self, *, to_block: bool) -> bytes:
        """The next piece; `to_block`: it ends before a block begins."""
        self._stream.next_out = ctypes.addressof(self._output)
        self._stream.avail_out = _PIECE
        ended = self._call("inflate", _BLOCK if to_block else _NO_FLUSH)
        self.ended = ended == _STREAM_END
        return ctypes.string_at(self._output, _PIECE - self._stream.avail_out)

    def window(self) -> bytes:
        """The last bytes that have come out."""
        size = ctypes.c_uint()
        self._call("inflateGetDictionary", self._output, ctypes.byref(size))
        return ctypes.string_at(self._output, size.value)

    def begin_with(self, bits: int, byte: bytes) -> None:
        """What is fed comes behind the last bits of a byte."""
        self._call("inflatePrime", bits, int.from_bytes(byte, "little") >> (8 - bits))

    def look_back(self, window: bytes) -> None:
        self._call("inflateSetDictionary", window, len(window))

    def close(self) -> None:
        _libz.inflateEnd(ctypes.byref(self._stream))

    def _call(self, name: str, *arguments: object) -> int:
        status = int(getattr(_libz, name)(ctypes.byref(self._stream), *arguments))
        if status not in (_OK, _STREAM_END, _BUFFER_ERROR):
            why = (self._stream.message or b"").decode("ascii", "replace") or f"status {status}"
            raise corrupt(f"its gzip stream is damaged: {why}")
        return status


def _inflated(
    package: ByteSource,
    inflater: _Inflater,
    offset: int,
    end: int | None,
    marker: Marker | None,
    position: int,
) -> Generator[bytes, None, int]:
    """What a stream unpacks to from `offset` on, which is `position` for the marker; returns where
    it ends."""
    while not inflater.ended:
        data = _read(package, offset, end)
        if not data:
            raise corrupt("its gzip stream has no end")
        offset += len(data)
        inflater.feed(data)
        piece = b""
        while not inflater.ended and (inflater.unread or len(piece) == _PIECE):
            wanted = marker is not None and position + inflater.size >= marker.wanted
            piece = inflater.inflate(to_block=wanted)
            if piece:
                yield piece
            bits = inflater.bits_before_block
            if marker is not None and wanted and bits is not None:
                at = offset - inflater.unread
                marker.mark(position + inflater.size, at, bits, inflater.window())
    return offset - inflater.unread


def _next_stream(package: ByteSource, offset: int, end: int | None) -> int | None:
    """Where another stream begins behind one, perhaps after zeros."""
    while data := _read(package, offset, end):
        rest = data.lstrip(b"\0")
        offset += len(data) - len(rest)
        if rest:
            return offset
    return None


def _read(package: ByteSource, offset: int, end: int | None) -> bytes:
    size = _INPUT if end is None else max(0, min(_INPUT, end - offset))
    return package.read_at(offset, size)


def _end(payload: Payload) -> int | None:
    return None if payload.size is None else payload.offset + payload.size
