"""Downloads: whole, resumed, broken off, changed, refused; read while they come."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from kernsym.distros import (
    CouldNotFindOut,
    KernsymError,
    Package,
    PackageRef,
    Refused,
    Role,
    Unusable,
)
from kernsym.server.download import download
from kernsym.server.growing import GrowingFile
from kernsym.server.upstream import Limits, Upstream
from tests.upstream import UpstreamServer

CONTENT = b"".join(hashlib.sha256(str(block).encode()).digest() for block in range(100_000))
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA1 = hashlib.sha1(CONTENT).hexdigest()
NAME = "linux-image-dbg.deb"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
QUICK = Limits(connect=2.0, stall=0.5, download_attempts=3, first_pause=0.01)


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "mirror"
    root.mkdir()
    (root / NAME).write_bytes(CONTENT)
    with UpstreamServer(root) as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "store" / "packages" / NAME


def package(
    url: str, *, size: int | None = SIZE, sha256: str | None = SHA256, sha1: str | None = None
) -> PackageRef:
    named = Package(role=Role.DEBUGINFO, id=NAME, name="linux-image-dbg", version="1", arch="amd64")
    return PackageRef(
        package=named, url=f"{url}/{NAME}", origin="", why="", size=size, sha256=sha256, sha1=sha1
    )


def bring(
    ref: PackageRef, target: Path, *, room: int = 0
) -> tuple[Path, list[tuple[int, int | None]]]:
    """The download alone, from beginning to end; where it lies and its progress."""
    return asyncio.run(_bring(ref, target, room))


async def _bring(
    ref: PackageRef, target: Path, room: int = 0
) -> tuple[Path, list[tuple[int, int | None]]]:
    progress: list[tuple[int, int | None]] = []
    growing = GrowingFile()
    async with Upstream(target.parent / "pages", QUICK) as upstream:
        path = await download(
            upstream,
            ref,
            target,
            growing,
            room=room,
            on_progress=lambda done, total: progress.append((done, total)),
        )
    whole = await asyncio.to_thread(growing.read_at, 0, SIZE + 1)
    assert hashlib.sha256(whole).hexdigest() == _sha256(path)
    growing.close()
    return path, progress


def bring_from(answer: Answer, target: Path) -> None:
    """The download from a server that answers in one way."""

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        async with TestServer(app, host="127.0.0.1") as server:
            await _bring(package(str(server.make_url("")).rstrip("/")), target)

    asyncio.run(run())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for_part(target: Path, size: int) -> None:
    """Until that many bytes have come."""
    deadline = time.monotonic() + 20
    while not part_of(target).exists() or part_of(target).stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def part_of(target: Path) -> Path:
    return target.with_name(f"{NAME}.part")


def leave_part(target: Path, content: bytes, **origin: str) -> None:
    """What an interrupted download leaves."""
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(content)
    target.with_name(f"{NAME}.part.json").write_text(json.dumps({"package": SHA256} | origin))


def files(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()


@pytest.mark.parametrize(
    "announced",
    [
        {},
        {"size": None, "sha256": None},
        {"sha256": None, "sha1": SHA1},
        {"size": None},
    ],
    ids=["all", "nothing", "sha1", "sha256"],
)
def test_brings_a_package(
    mirror: UpstreamServer, target: Path, announced: dict[str, str | None]
) -> None:
    ref = package(mirror.url, **announced)  # type: ignore[arg-type]
    path, progress = bring(ref, target)
    assert path == target
    assert target.read_bytes() == CONTENT
    assert files(target) == {NAME}
    assert progress[-1] == (SIZE, SIZE)
    assert mirror.bytes_sent == SIZE


def test_a_held_package_is_not_asked_for(mirror: UpstreamServer, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert (bring(package(mirror.url), target))[0] == target
    assert not mirror.hits


def test_a_held_package_that_was_damaged_is_refused_and_removed(
    mirror: UpstreamServer, target: Path
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(Refused):
        bring(package(mirror.url), target)
    assert files(target) == set()
    bring(package(mirror.url), target)
    assert mirror.hits[f"/{NAME}"] == 1


def test_goes_on_where_the_connection_broke(mirror: UpstreamServer, target: Path) -> None:
    mirror.cut_after = 1_200_000
    bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert target.read_bytes() == CONTENT
    assert 3 <= mirror.hits[f"/{NAME}"] <= 6  # what was on its way when it broke may be lost


def test_gives_up_without_progress_and_goes_on_the_next_time(
    mirror: UpstreamServer, target: Path
) -> None:
    mirror.cut_after = 2_000_000
    mirror.status_for = lambda path, hit: 503 if hit > 1 else None
    with pytest.raises(CouldNotFindOut) as unsure:
        bring(package(mirror.url), target)
    assert unsure.value.code == "mirror-failing"
    assert 1_500_000 < part_of(target).stat().st_size <= 2_000_000
    mirror.status_for = lambda path, hit: None
    bring(package(mirror.url), target)
    assert mirror.bytes_sent < SIZE + 500_000


def test_a_mirror_that_stalls_is_asked_again(mirror: UpstreamServer, target: Path) -> None:
    def slow_at_first(path: str, hit: int) -> None:
        mirror.rate = 1.0 if hit < 3 else None  # a byte a second

    mirror.status_for = slow_at_first
    bring(package(mirror.url), target)
    assert mirror.hits[f"/{NAME}"] == 3
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("held", [1, 1_000_000, SIZE - 1, SIZE])
def test_resumes_what_an_earlier_run_left(mirror: UpstreamServer, target: Path, held: int) -> None:
    leave_part(target, CONTENT[:held])
    bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert files(target) == {NAME}
    assert mirror.bytes_sent == SIZE - held


def test_a_whole_part_of_unknown_size_is_recognised(mirror: UpstreamServer, target: Path) -> None:
    leave_part(target, CONTENT)
    bring(package(mirror.url, size=None), target)
    assert mirror.bytes_sent == 0
    assert target.read_bytes() == CONTENT


def test_a_part_of_another_package_is_not_used(mirror: UpstreamServer, target: Path) -> None:
    leave_part(target, b"another package", package="0" * 64)
    bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("sidecar", ["", "[]", "{", '{"package": 1}'])
def test_a_part_without_a_sound_sidecar_is_not_used(
    mirror: UpstreamServer, target: Path, sidecar: str
) -> None:
    leave_part(target, CONTENT[:1000])
    target.with_name(f"{NAME}.part.json").write_text(sidecar)
    bring(package(mirror.url), target)
    assert mirror.bytes_sent == SIZE


def test_an_entity_that_changed_is_not_mixed_with_the_old(
    mirror: UpstreamServer, target: Path
) -> None:
    """Without a digest nothing but the validator tells."""
    ref = package(mirror.url, size=None, sha256=None)
    mirror.cut_after = 1_000_000
    mirror.status_for = lambda path, hit: 503 if hit > 1 else None
    with pytest.raises(CouldNotFindOut):
        bring(ref, target)
    mirror.cut_after, mirror.status_for = None, lambda path, hit: None
    other = bytes(SIZE)
    (mirror.root / NAME).write_bytes(other)
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


@pytest.mark.parametrize(
    "announced",
    [
        {"sha256": "0" * 64},
        {"sha256": None, "sha1": "0" * 40},
        {"size": SIZE - 1},
        {"size": SIZE + 1},
        {"size": None, "sha256": "0" * 64},
    ],
)
def test_what_is_not_as_announced_is_refused(
    mirror: UpstreamServer, target: Path, announced: dict[str, str | None]
) -> None:
    with pytest.raises(Refused) as refused:
        bring(package(mirror.url, **announced), target)  # type: ignore[arg-type]
    assert refused.value.code == "digest-mismatch"
    assert files(target) == set()


def test_more_bytes_than_announced_are_not_taken(target: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()  # chunked: its length is not told
        await response.prepare(request)
        for _ in range(100):
            await response.write(CONTENT)
        return response

    with pytest.raises(Refused, match="not what its index announces"):
        bring_from(answer, target)
    assert files(target) == set()


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "package-missing"), (403, "credentials-missing"), (500, "mirror-failing")],
)
def test_what_the_mirror_says_instead(
    mirror: UpstreamServer, target: Path, status: int, code: str
) -> None:
    mirror.status_for = lambda path, hit: status
    with pytest.raises(CouldNotFindOut) as unsure:
        bring(package(mirror.url), target)
    assert unsure.value.code == code


def test_cancelled_leaves_a_part_and_wakes_readers(mirror: UpstreamServer, target: Path) -> None:
    mirror.rate = 2_000_000

    async def cancel() -> None:
        growing = GrowingFile()
        async with Upstream(target.parent / "pages", QUICK) as upstream:
            task = asyncio.create_task(download(upstream, package(mirror.url), target, growing))
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
    mirror.rate = None
    _, progress = bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert progress[0][0] > held


def test_killed_leaves_a_part(mirror: UpstreamServer, target: Path) -> None:
    mirror.rate = 2_000_000
    script = (
        "import sys, pathlib; from tests.server.test_download import bring, package;"
        "bring(package(sys.argv[1]), pathlib.Path(sys.argv[2]))"
    )
    process = subprocess.Popen([sys.executable, "-c", script, mirror.url, str(target)])
    try:
        wait_for_part(target, 200_000)
    finally:
        process.kill()
        process.wait()
    held = part_of(target).stat().st_size
    assert held < SIZE
    mirror.rate = None
    _, progress = bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT
    assert progress[0][0] > held


def test_a_failed_download_fails_its_readers(mirror: UpstreamServer, target: Path) -> None:
    mirror.status_for = lambda path, hit: 403

    async def fail() -> None:
        growing = GrowingFile()
        async with Upstream(target.parent / "pages", QUICK) as upstream:
            reader = asyncio.create_task(asyncio.to_thread(growing.read_at, 0, 100))
            with pytest.raises(CouldNotFindOut):
                await download(upstream, package(mirror.url), target, growing)
            with pytest.raises(CouldNotFindOut, match="wants credentials"):
                await asyncio.wait_for(reader, 2)
            growing.close()

    asyncio.run(fail())


def test_space_is_asked_for_before_anything_comes(
    mirror: UpstreamServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, SIZE + 99))
    bring(package(mirror.url), target, room=99)
    target.unlink()
    with pytest.raises(Unusable) as unusable:
        bring(package(mirror.url), target, room=100)
    assert unusable.value.code == "disk-full"
    assert files(target) == set()


def test_a_disk_that_fills_up_keeps_the_part(mirror: UpstreamServer, target: Path) -> None:
    mirror.rate = 2_000_000

    async def fill_up() -> None:
        task = asyncio.create_task(_bring(package(mirror.url), target))
        await asyncio.to_thread(wait_for_part, target, 200_000)
        _fill_up(part_of(target))
        with pytest.raises(Unusable) as unusable:
            await asyncio.wait_for(task, 10)
        assert unusable.value.code == "disk-full"

    asyncio.run(fill_up())
    mirror.rate = None
    bring(package(mirror.url), target)
    assert target.read_bytes() == CONTENT


def _fill_up(path: Path) -> None:
    """Put /dev/full in the place of the descriptor that this process appends to `path` with."""
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            flags = Path(f"/proc/self/fdinfo/{link.name}").read_text().split()[3]
            if link.readlink() == path and int(flags, 8) & os.O_APPEND:
                full = os.open("/dev/full", os.O_WRONLY)
                os.dup2(full, int(link.name))
                os.close(full)
                return
    pytest.fail("nobody appends to the part")


def test_a_file_is_used_where_it_lies(target: Path, tmp_path: Path) -> None:
    folder = tmp_path / "local mirror"
    folder.mkdir()
    (folder / NAME).write_bytes(CONTENT)
    path, progress = bring(package(folder.as_uri()), target)
    assert path == folder / NAME
    assert files(target) == set()
    assert progress[-1] == (SIZE, SIZE)
    with pytest.raises(Refused):
        bring(package(folder.as_uri(), sha256="0" * 64), target)
    assert (folder / NAME).exists()
    (folder / NAME).unlink()
    with pytest.raises(CouldNotFindOut, match="No such file"):
        bring(package(folder.as_uri()), target)


@pytest.mark.parametrize("wanted", ["bytes 99-200/300", "bytes", "", "bytes 5000000-6000000/*"])
def test_an_odd_range_is_not_believed(target: Path, wanted: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=206, body=b"x", headers={"Content-Range": wanted})

    leave_part(target, CONTENT[:1000])
    with pytest.raises(KernsymError):
        bring_from(answer, target)
    assert not target.exists()
