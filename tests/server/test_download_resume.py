"""Downloads that were broken off, and mirrors that changed meanwhile."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import (
    CouldNotFindOut,
    KernsymError,
)
from kernsym.server.mirrors.download import download
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.upstream import Upstream
from tests.server.answering import serving
from tests.server.bringing import (
    CONTENT,
    NAME,
    QUICK,
    SIZE,
    bring,
    bring_async,
    bring_from,
    files,
    leave_part,
    package,
    part_of,
    wait_for_part,
)
from tests.upstream import UpstreamServer


def test_goes_on_where_the_connection_broke(package_mirror: UpstreamServer, target: Path) -> None:
    package_mirror.cut_after = 1_200_000
    bring(package(package_mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert target.read_bytes() == CONTENT
    assert (
        3 <= package_mirror.hits[f"/{NAME}"] <= 6
    )  # what was on its way when it broke may be lost


def test_gives_up_without_progress_and_goes_on_the_next_time(
    package_mirror: UpstreamServer, target: Path
) -> None:
    package_mirror.cut_after = 2_000_000
    package_mirror.status_for = lambda path, hit: 503 if hit > 1 else None
    with pytest.raises(CouldNotFindOut) as unsure:
        bring(package(package_mirror.url), target)
    assert unsure.value.code == "mirror-failing"
    assert 1_500_000 < part_of(target).stat().st_size <= 2_000_000
    package_mirror.status_for = lambda path, hit: None
    bring(package(package_mirror.url), target)
    assert package_mirror.bytes_sent < SIZE + 500_000


def test_a_mirror_that_stalls_is_asked_again(package_mirror: UpstreamServer, target: Path) -> None:
    def slow_at_first(path: str, hit: int) -> None:
        package_mirror.rate = 1.0 if hit < 3 else None  # a byte a second

    package_mirror.status_for = slow_at_first
    bring(package(package_mirror.url), target)
    assert package_mirror.hits[f"/{NAME}"] == 3
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("held", [1, 1_000_000, SIZE - 1, SIZE])
def test_resumes_what_an_earlier_run_left(
    package_mirror: UpstreamServer, target: Path, held: int
) -> None:
    leave_part(target, CONTENT[:held])
    bring(package(package_mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert files(target) == {NAME}
    assert package_mirror.bytes_sent == SIZE - held


def test_a_whole_part_of_unknown_size_is_recognised(
    package_mirror: UpstreamServer, target: Path
) -> None:
    leave_part(target, CONTENT)
    bring(package(package_mirror.url, size=None), target)
    assert package_mirror.bytes_sent == 0
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_package_is_not_used(
    package_mirror: UpstreamServer, target: Path
) -> None:
    leave_part(target, b"another package", package="0" * 64)
    bring(package(package_mirror.url), target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("sidecar", ["", "[]", "{", '{"package": 1}'])
def test_a_part_without_a_sound_sidecar_is_not_used(
    package_mirror: UpstreamServer, target: Path, sidecar: str
) -> None:
    leave_part(target, CONTENT[:1000])
    target.with_name(f"{NAME}.part.json").write_text(sidecar)
    bring(package(package_mirror.url), target)
    assert package_mirror.bytes_sent == SIZE


def test_an_entity_that_changed_is_not_mixed_with_the_old(
    package_mirror: UpstreamServer, target: Path
) -> None:
    """Without a digest nothing but the validator tells."""
    ref = package(package_mirror.url, size=None, sha256=None)
    package_mirror.cut_after = 1_000_000
    package_mirror.status_for = lambda path, hit: 503 if hit > 1 else None
    with pytest.raises(CouldNotFindOut):
        bring(ref, target)
    package_mirror.cut_after, package_mirror.status_for = None, lambda path, hit: None
    other = bytes(SIZE)
    (package_mirror.root / NAME).write_bytes(other)
    with pytest.raises(CouldNotFindOut) as changed:
        bring(ref, target)
    assert changed.value.code == "package-changed"
    assert files(target) == set()
    bring(ref, target)
    assert target.read_bytes() == other


def test_a_mirror_without_ranges_is_compared_with_what_is_held(target: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    leave_part(target, CONTENT[:1_234_567])
    bring_from(answer, target)
    assert target.read_bytes() == CONTENT


def test_what_is_held_and_differs_is_not_offered_twice(target: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=CONTENT)

    leave_part(target, CONTENT[:1_000_000] + b"?")
    with pytest.raises(CouldNotFindOut) as changed:
        bring_from(answer, target)
    assert changed.value.code == "package-changed"
    assert files(target) == set()


def test_cancelled_leaves_a_part_and_wakes_readers(
    package_mirror: UpstreamServer, target: Path
) -> None:
    package_mirror.rate = 2_000_000

    async def cancel() -> None:
        growing = GrowingFile()
        async with Upstream(target.parent / "pages", QUICK) as upstream:
            task = asyncio.create_task(
                download(upstream, package(package_mirror.url), target, growing)
            )
            reader = asyncio.create_task(asyncio.to_thread(growing.read_at, 0, SIZE))
            await asyncio.to_thread(wait_for_part, target, 200_000)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(CouldNotFindOut, match="cancelled"):
                await asyncio.wait_for(reader, 2)
            growing.close()

    asyncio.run(cancel())
    held = part_of(target).stat().st_size
    assert 200_000 <= held < SIZE
    package_mirror.rate = None
    _, progress = bring(package(package_mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert progress[0][0] > held


def test_cancelled_ends_the_check_of_a_package_that_is_there(tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    begun, go_on = threading.Event(), threading.Event()
    blocks: list[int] = []

    def tell(done: int, total: int | None) -> None:
        blocks.append(done)
        begun.set()
        go_on.wait(20)

    async def cancel() -> None:
        async with Upstream(tmp_path / "pages", QUICK) as upstream:
            ref = package(tmp_path.as_uri())
            growing = GrowingFile()
            task = asyncio.create_task(
                download(upstream, ref, tmp_path / "target", growing, on_progress=tell)
            )
            await asyncio.to_thread(begun.wait, 20)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            go_on.set()
            growing.close()

    asyncio.run(cancel())  # returns when the thread has ended
    assert len(blocks) == 1 < SIZE / (1 << 20)


def test_killed_leaves_a_part(package_mirror: UpstreamServer, target: Path) -> None:
    package_mirror.rate = 2_000_000
    script = (
        "import sys, pathlib; from tests.server.bringing import bring, package;"
        "bring(package(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, package_mirror.url, str(target)])
    try:
        wait_for_part(target, 200_000)
    finally:
        process.kill()
        process.wait()
    held = part_of(target).stat().st_size
    assert held < SIZE
    package_mirror.rate = None
    _, progress = bring(package(package_mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert progress[0][0] > held


def test_a_mirror_that_sends_ranges_in_pieces(target: Path) -> None:
    async def answer(request: web.Request) -> web.Response:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        piece = CONTENT[start : start + 1_000_000]
        span = f"bytes {start}-{start + len(piece) - 1}/{SIZE}"
        return web.Response(status=206, body=piece, headers={"Content-Range": span})

    bring_from(answer, target)
    assert target.read_bytes() == CONTENT


def test_nothing_is_appended_where_nothing_would_tell_a_change(target: Path) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.headers.get("Range", ""))
        return web.Response(body=CONTENT)

    async def run() -> None:
        async with serving(answer) as url:
            ref = package(url, sha256=None)
            leave_part(target, CONTENT[:1000], package=ref.url)
            await bring_async(ref, target)

    asyncio.run(run())
    assert asked == [""]
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("wanted", ["bytes 99-200/300", "bytes", "", "bytes 5000000-6000000/*"])
def test_an_odd_range_is_not_believed(target: Path, wanted: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=206, body=b"x", headers={"Content-Range": wanted})

    leave_part(target, CONTENT[:1000])
    with pytest.raises(KernsymError):
        bring_from(answer, target)
    assert not target.exists()
