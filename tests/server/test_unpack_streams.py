"""Payloads that have to be read from their beginning: whole, cut, damaged, followed by others."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import Refused
from kernsym.server.unpack.codecs import gzip as gzip_codec
from kernsym.server.unpack.codecs.streams import unpacked_stream
from kernsym.server.unpack.packed import Payload
from tests.server.unpacking import Bytes

CONTENT = bytes(range(256)) * 12_000 + bytes(3 << 20)
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE, preset=0),
}
PACKED = {name: pack(CONTENT) for name, pack in PACKERS.items()}


def pieces(data: bytes, name: str) -> list[bytes]:
    payload = Payload(offset=7, size=len(data), format="cpio", filter=name)
    unpacked = gzip_codec.unpacked if name == "gzip" else unpacked_stream
    return list(unpacked(Bytes(bytes(7) + data + b"what follows"), payload))


@pytest.mark.parametrize("name", PACKED)
def test_gives_all_of_it_in_small_pieces(name: str) -> None:
    found = pieces(PACKED[name], name)
    assert b"".join(found) == CONTENT
    assert max(map(len, found)) <= 1 << 20


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz"])
def test_streams_may_follow_each_other(name: str) -> None:
    one, two = PACKERS[name](b"one"), PACKERS[name](b"two" * 50_000)
    assert b"".join(pieces(one + two, name)) == b"one" + b"two" * 50_000
    assert b"".join(pieces(one + bytes(8) + two + bytes(100_000), name)) == b"one" + b"two" * 50_000


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("left", [0, 1, 5, 1000, -1, -9])
def test_one_that_was_cut_is_refused(name: str, left: int) -> None:
    with pytest.raises(Refused) as refused:
        pieces(PACKED[name][:left], name)
    assert refused.value.code == "package-corrupt"


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(PACKED)), where=st.floats(0, 1, exclude_max=True))
def test_damage_is_found_or_does_none(name: str, where: float) -> None:
    damaged = bytearray(PACKED[name])
    damaged[int(where * len(damaged))] ^= 0x40
    try:
        found = pieces(bytes(damaged), name)
    except Refused as error:
        assert error.code == "package-corrupt"
    else:
        assert name == "lzma" or b"".join(found) == CONTENT  # which has no checksum
