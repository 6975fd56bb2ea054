"""Streams of xz blocks that are damaged or lie: refused, and nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernsym.distros import Refused
from kernsym.server.unpack import extract
from tests.deb_writer import ar, tar
from tests.rpm_writer import COMPRESSIONS, rpm
from tests.server.unpacking import LAYOUT, MEMBERS, Bytes, unpack, written
from tests.xz_writer import XzBlock, block, crc, stream, xz

TAR = tar(MEMBERS)
HALF = len(TAR) // 2
TOLD = [block(TAR[:HALF]), block(TAR[HALF:])]
UNTOLD = [block(TAR[:HALF], tell_sizes=False), block(TAR[HALF:], tell_sizes=False)]
TRUE = [(each.packed, each.unpacked) for each in UNTOLD]
HUGE = 1 << 62


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]


def reheaded(of: XzBlock, change: Callable[[bytearray], None]) -> XzBlock:
    """A block whose header was changed, and has a right checksum again."""
    size = 4 * (of.content[0] + 1)
    header = bytearray(of.content[: size - 4])
    change(header)
    content = bytes(header) + crc(bytes(header)) + of.content[size:]
    return XzBlock(content=content, packed=of.packed, unpacked=of.unpacked)


def reserved(header: bytearray) -> None:
    header[1] |= 4


def unknown_filter(header: bytearray) -> None:
    header[header.index(b"\x21\1\x16")] = 0x22


def endless_number(header: bytearray) -> None:
    header[2:] = b"\xff" * len(header[2:])


LIES = {
    "checksum of a block": flipped(stream(TOLD), 12 + len(TOLD[0].content) - 1),
    "data of a block": flipped(stream(TOLD), 12 + len(TOLD[0].content) // 2),
    "block longer than told": stream([block(TAR[:HALF], claim=HALF - 1), TOLD[1]]),
    "block shorter than told": stream([block(TAR[:HALF], claim=HALF + 1), TOLD[1]]),
    "block of absurd size": stream([block(TAR[:HALF], claim=HUGE), TOLD[1]]),
    "header's checksum": flipped(stream(TOLD), 14),
    "header's reserved bits": stream([reheaded(TOLD[0], reserved), TOLD[1]]),
    "unknown filter": stream([reheaded(TOLD[0], unknown_filter), TOLD[1]]),
    "number without end": stream([reheaded(TOLD[0], endless_number), TOLD[1]]),
    "second block tells nothing": stream([TOLD[0], UNTOLD[1]]),
    "index of other blocks": stream(TOLD, [(TOLD[0].packed, HALF - 1), (TOLD[1].packed, HALF)]),
    "index of fewer blocks": stream(TOLD, [(TOLD[0].packed, HALF)]),
    "index of more blocks": stream(TOLD, [*TRUE, (100, 100)]),
    "index says less": stream(UNTOLD, [(TRUE[0][0], HALF - 512), TRUE[1]]),
    "index says more": stream(UNTOLD, [(TRUE[0][0], HALF + 512), TRUE[1]]),
    "index swaps the blocks": stream(UNTOLD, TRUE[::-1]),
    "index moves the border": stream(
        UNTOLD, [(TRUE[0][0] - 4, TRUE[0][1]), (TRUE[1][0] + 4, TRUE[1][1])]
    ),
    "index of absurd sizes": stream(UNTOLD, [(HUGE, HUGE), TRUE[1]]),
    "index's checksum": flipped(stream(UNTOLD), len(stream(UNTOLD)) - 16),
    "index's size": flipped(stream(UNTOLD), len(stream(UNTOLD)) - 5),
    "cut in a block": stream(TOLD)[: len(TOLD[0].content) // 2],
    "cut in the index": stream(TOLD)[:-14],
    "cut in the footer": stream(UNTOLD)[:-4],
    "something behind it": stream(TOLD) + b"something",
}


@pytest.mark.parametrize("lie", LIES)
def test_is_refused(tmp_path: Path, lie: str) -> None:
    package = ar([("debian-binary", b"2.0\n"), ("data.tar.xz", LIES[lie])])
    with pytest.raises(Refused) as refused:
        unpack(package, tmp_path, "ext4", "nf_conntrack")
    assert refused.value.code == "package-corrupt"
    assert not any(Path(path).name.startswith(".") for path in written(tmp_path))


class Coming(Bytes):
    """An RPM of which nobody has said yet that it is whole: where its payload ends is not known."""

    def whole(self) -> None:
        return None


def test_a_size_beyond_the_end_of_what_comes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def huge(header: bytearray) -> None:
        header[2 : 2 + 8] = b"\xff" * 7 + b"\x7f"

    packed = stream([reheaded(block(TAR, claim=HUGE), huge)])
    monkeypatch.setitem(COMPRESSIONS, "xz", lambda data: packed)
    with pytest.raises(Refused) as refused:
        extract(Coming(rpm([])), LAYOUT, lambda *asked: True, tmp_path, lambda file: None)
    assert refused.value.code == "package-corrupt"


def test_too_many_blocks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernsym.server.unpack.codecs.xz._MOST_BLOCKS", 10)
    package = ar([("data.tar.xz", xz(TAR, block_size=512))])
    with pytest.raises(Refused, match="more than 10 blocks"):
        unpack(package, tmp_path)
