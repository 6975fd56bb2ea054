"""A download after some ranges of the package: only what lacks comes, and all is checked."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernsym.distros import KernsymError
from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_file import PIECE, RangedFile, ranges_of
from tests.server.bringing import CONTENT, NAME, SIZE, bring, package
from tests.server.reading_ranges import open_and, read_at
from tests.upstream import UpstreamServer


def leave_ranges(mirror: UpstreamServer, target: Path, *offsets: int) -> int:
    """What reading a piece at each offset leaves; how many bytes came."""

    async def read(source: RangedPackage) -> None:
        for offset in offsets:
            await read_at(source, offset, PIECE)

    asyncio.run(open_and(mirror.url, target, read))
    came, mirror.bytes_sent = mirror.bytes_sent, 0
    return came


def held(mirror: UpstreamServer, target: Path) -> RangedFile:
    file = RangedFile(package(mirror.url), target)
    assert file.look()
    return file


@pytest.mark.parametrize("offsets", [(), (SIZE // 2,), (SIZE - PIECE,), (12 * PIECE, 20 * PIECE)])
def test_only_what_lacks_comes(
    package_mirror: UpstreamServer, target: Path, offsets: tuple[int, ...]
) -> None:
    came = leave_ranges(package_mirror, target, *offsets)
    path, progress = bring(package(package_mirror.url), target)
    assert path.read_bytes() == CONTENT
    assert package_mirror.bytes_sent == SIZE - came
    assert progress[-1] == (SIZE, SIZE)
    assert held(package_mirror, target).agrees_with(path)


def test_another_mirror_brings_the_rest(
    package_mirror: UpstreamServer, target: Path, tmp_path: Path
) -> None:
    came = leave_ranges(package_mirror, target, SIZE // 2)
    with UpstreamServer(package_mirror.root) as other:
        assert bring(package(other.url), target)[0].read_bytes() == CONTENT
        assert other.bytes_sent == SIZE - came


def test_a_broken_connection_costs_nothing_that_has_come(
    package_mirror: UpstreamServer, target: Path
) -> None:
    came = leave_ranges(package_mirror, target, SIZE // 2)
    package_mirror.cut_after = 8 * PIECE
    assert bring(package(package_mirror.url), target)[0].read_bytes() == CONTENT
    assert package_mirror.bytes_sent <= SIZE - came + 4 * PIECE  # what was on its way


def test_wrong_bytes_among_the_ranges_are_found_and_gone(
    package_mirror: UpstreamServer, target: Path
) -> None:
    leave_ranges(package_mirror, target, SIZE // 2)
    data, _ = ranges_of(target)
    with data.open("r+b") as file:
        file.write(b"?")
    with pytest.raises(KernsymError) as wrong:
        bring(package(package_mirror.url), target)
    assert wrong.value.code == "digest-mismatch"
    assert not target.exists() and not data.exists()
    assert bring(package(package_mirror.url), target)[0].read_bytes() == CONTENT


def test_ranges_that_do_not_stand_so_in_the_whole_show(
    package_mirror: UpstreamServer, target: Path
) -> None:
    leave_ranges(package_mirror, target, SIZE - 10)
    whole = package_mirror.root / NAME
    file = held(package_mirror, target)
    assert file.agrees_with(whole)
    whole.write_bytes(CONTENT[:-1] + b"?")
    assert not file.agrees_with(whole)


def test_without_a_digest_nothing_is_taken(package_mirror: UpstreamServer, target: Path) -> None:
    """Nothing would tell whose bytes are wrong."""
    leave_ranges(package_mirror, target)
    bring(package(package_mirror.url, sha256=None), target)
    assert package_mirror.bytes_sent == SIZE
