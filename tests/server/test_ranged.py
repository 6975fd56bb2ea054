"""A package read by ranges from a real server: what is asked for, and kept."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_file import PIECE, ranges_of
from tests.server.bringing import CONTENT, SIZE
from tests.server.reading_ranges import open_and, read_at
from tests.upstream import UpstreamServer


def test_only_what_is_read_comes(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        assert source.whole() == SIZE
        assert await read_at(source, 0, 100) == CONTENT[:100]
        assert await read_at(source, SIZE - 12, 100) == CONTENT[-12:]
        middle = SIZE // 2
        assert await read_at(source, middle, 3 * PIECE) == CONTENT[middle : middle + 3 * PIECE]
        assert await read_at(source, SIZE, 1) == b""
        again = package_mirror.hits.total()
        assert await read_at(source, middle + PIECE, PIECE) == CONTENT[middle + PIECE :][:PIECE]
        assert package_mirror.hits.total() == again == 3

    come: list[int] = [0]
    asyncio.run(open_and(package_mirror.url, target, read, come))
    assert package_mirror.bytes_sent == come[-1] < SIZE * 0.7
    assert ranges_of(target)[0].stat().st_size == SIZE


def test_who_reads_on_gets_more_at_once(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        for offset in range(8 * PIECE, SIZE, 1 << 14):
            assert await read_at(source, offset, 1 << 14) == CONTENT[offset:][: 1 << 14]

    asyncio.run(open_and(package_mirror.url, target, read))
    assert package_mirror.bytes_sent == SIZE
    assert package_mirror.hits.total() <= 4  # of the 17 pieces that came after the first


def test_many_threads_ask_for_everything_once(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        with ThreadPoolExecutor(8) as threads:
            offsets = [number * 7919 % SIZE for number in range(400)]
            loop = asyncio.get_running_loop()
            reads = [loop.run_in_executor(threads, source.read_at, at, 5000) for at in offsets]
            for offset, data in zip(offsets, await asyncio.gather(*reads), strict=True):
                assert data == CONTENT[offset : offset + 5000]

    asyncio.run(open_and(package_mirror.url, target, read))
    assert package_mirror.bytes_sent == SIZE


def test_what_has_come_does_not_come_again(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        assert await read_at(source, SIZE - 100, 100) == CONTENT[-100:]

    asyncio.run(open_and(package_mirror.url, target, read))
    _, journal = ranges_of(target)
    journal.write_text(journal.read_text() + "3")  # as kill -9 in the middle of a line leaves it
    package_mirror.bytes_sent = 0
    asyncio.run(open_and(package_mirror.url, target, read))
    assert package_mirror.bytes_sent == 0


@pytest.mark.parametrize("damage", ["{", "", '{"size": "many"}\n1\n', None])
def test_a_list_of_what_is_there_that_cannot_be_read_counts_for_nothing(
    package_mirror: UpstreamServer, target: Path, damage: str | None
) -> None:
    data, journal = ranges_of(target)
    target.parent.mkdir(parents=True)
    data.write_bytes(b"?" * SIZE)
    if damage is not None:
        journal.write_text(damage)

    async def read(source: RangedPackage) -> None:
        assert await read_at(source, 0, SIZE) == CONTENT

    asyncio.run(open_and(package_mirror.url, target, read))


def test_a_connection_that_breaks_is_taken_up_again(
    package_mirror: UpstreamServer, target: Path
) -> None:
    package_mirror.cut_after = 3 * PIECE + 100  # what lacks of a piece is dropped

    async def read(source: RangedPackage) -> None:
        assert await read_at(source, 0, SIZE) == CONTENT

    asyncio.run(open_and(package_mirror.url, target, read))


def test_a_mirror_that_dies_is_told(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        package_mirror.status_for = lambda path, hit: 503
        with pytest.raises(CouldNotFindOut, match="answered 503"):
            await read_at(source, SIZE - 1, 1)

    asyncio.run(open_and(package_mirror.url, target, read))


def test_who_closes_lets_readers_go(package_mirror: UpstreamServer, target: Path) -> None:
    async def read(source: RangedPackage) -> None:
        package_mirror.rate = 1000
        reading = asyncio.create_task(read_at(source, SIZE - PIECE, PIECE))
        await asyncio.sleep(0.1)
        source.close()
        with pytest.raises(CouldNotFindOut) as stopped:
            await reading
        assert stopped.value.code == "download-cancelled"

    asyncio.run(open_and(package_mirror.url, target, read))
