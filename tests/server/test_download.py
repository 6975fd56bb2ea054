"""Downloads: whole, held, refused, without room; what their readers hear."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import (
    CouldNotFindOut,
    Refused,
    Unusable,
)
from kernsym.server.mirrors.checked import CheckedFiles
from kernsym.server.mirrors.download import download
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.upstream import Upstream
from tests.server.bringing import (
    CONTENT,
    NAME,
    QUICK,
    SHA1,
    SHA512,
    SIZE,
    bring,
    bring_async,
    bring_from,
    files,
    package,
    part_of,
    wait_for_part,
)
from tests.upstream import UpstreamServer


def test_a_package_is_compared_once_while_nobody_touches_it(
    package_mirror: UpstreamServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked, ref = CheckedFiles(), package(package_mirror.url)
    bring(ref, target, checked=checked)
    with monkeypatch.context() as patch:
        patch.setattr(
            "kernsym.server.mirrors.download.new_digest", lambda ref: pytest.fail("compared")
        )
        assert bring(ref, target, checked=checked)[1] == [(SIZE, SIZE)]
    times = target.stat().st_atime_ns, target.stat().st_mtime_ns
    target.write_bytes(CONTENT[:-1] + b"?")
    os.utime(target, ns=times)
    with pytest.raises(Refused):
        bring(ref, target, checked=checked)


def test_a_comparison_that_was_given_up_is_not_remembered(target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1] + b"?")
    checked, ref, growing = CheckedFiles(), package("http://unasked.invalid"), GrowingFile()
    growing.fail(CouldNotFindOut("download-cancelled", "nobody wants it any more"))

    async def give_up() -> None:
        async with Upstream(target.parent / "pages", QUICK) as upstream:
            await download(upstream, ref, target, growing, checked=checked)

    asyncio.run(give_up())
    growing.close()
    assert not checked.knows(ref, target)


def test_another_digest_is_compared_though_the_file_is_known(
    package_mirror: UpstreamServer, target: Path
) -> None:
    checked = CheckedFiles()
    bring(package(package_mirror.url), target, checked=checked)
    with pytest.raises(Refused):
        bring(package(package_mirror.url, sha256="0" * 64), target, checked=checked)


def test_a_source_on_this_machine_is_compared_every_time(tmp_path: Path, target: Path) -> None:
    checked, ref = CheckedFiles(), package(f"file://{tmp_path}")
    (tmp_path / NAME).write_bytes(CONTENT)
    bring(ref, target, checked=checked)
    assert not checked.knows(ref, tmp_path / NAME)
    assert len(bring(ref, target, checked=checked)[1]) > 1


def test_a_source_without_digests_is_not_read_for_one(tmp_path: Path, target: Path) -> None:
    (tmp_path / NAME).write_bytes(CONTENT)
    ref = package(f"file://{tmp_path}", sha256=None)
    assert bring(ref, target) == (tmp_path / NAME, [])
    with pytest.raises(Refused):
        bring(package(f"file://{tmp_path}", sha256=None, size=SIZE + 1), target)


@pytest.mark.parametrize(
    "announced",
    [
        {},
        {"size": None, "sha256": None},
        {"sha256": None, "sha1": SHA1},
        {"sha256": None, "sha512": SHA512},
        {"size": None},
    ],
    ids=["all", "nothing", "sha1", "sha512", "sha256"],
)
def test_brings_a_package(
    package_mirror: UpstreamServer, target: Path, announced: dict[str, str | None]
) -> None:
    ref = package(package_mirror.url, **announced)  # type: ignore[arg-type]
    path, progress = bring(ref, target)
    assert path == target
    assert target.read_bytes() == CONTENT
    assert files(target) == {NAME}
    assert progress[-1] == (SIZE, SIZE)
    assert package_mirror.bytes_sent == SIZE


def test_a_held_package_is_not_asked_for(package_mirror: UpstreamServer, target: Path) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    assert (bring(package(package_mirror.url), target))[0] == target
    assert not package_mirror.hits


def test_a_held_package_that_was_damaged_is_refused_and_removed(
    package_mirror: UpstreamServer, target: Path
) -> None:
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT[:-1] + b"?")
    with pytest.raises(Refused):
        bring(package(package_mirror.url), target)
    assert files(target) == set()
    bring(package(package_mirror.url), target)
    assert package_mirror.hits[f"/{NAME}"] == 1


@pytest.mark.parametrize(
    "announced",
    [
        {"sha256": "0" * 64},
        {"sha256": None, "sha1": "0" * 40},
        {"sha512": "0" * 128},
        {"size": SIZE - 1},
        {"size": SIZE + 1},
        {"size": None, "sha256": "0" * 64},
    ],
)
def test_what_is_not_as_announced_is_refused(
    package_mirror: UpstreamServer, target: Path, announced: dict[str, str | None]
) -> None:
    with pytest.raises(Refused) as refused:
        bring(package(package_mirror.url, **announced), target)  # type: ignore[arg-type]
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
    package_mirror: UpstreamServer, target: Path, status: int, code: str
) -> None:
    package_mirror.status_for = lambda path, hit: status
    with pytest.raises(CouldNotFindOut) as unsure:
        bring(package(package_mirror.url), target)
    assert unsure.value.code == code


def test_a_failed_download_fails_its_readers(package_mirror: UpstreamServer, target: Path) -> None:
    package_mirror.status_for = lambda path, hit: 403

    async def fail() -> None:
        growing = GrowingFile()
        async with Upstream(target.parent / "pages", QUICK) as upstream:
            reader = asyncio.create_task(asyncio.to_thread(growing.read_at, 0, 100))
            with pytest.raises(CouldNotFindOut):
                await download(upstream, package(package_mirror.url), target, growing)
            with pytest.raises(CouldNotFindOut, match="wants credentials"):
                await asyncio.wait_for(reader, 2)
            growing.close()

    asyncio.run(fail())


def test_space_is_asked_for_before_anything_comes(
    package_mirror: UpstreamServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, SIZE + 99))
    bring(package(package_mirror.url), target, room=99)
    target.unlink()
    with pytest.raises(Unusable) as unusable:
        bring(package(package_mirror.url), target, room=100)
    assert unusable.value.code == "disk-full"
    assert files(target) == set()


def test_space_is_asked_for_before_a_held_package_is_unpacked(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(0, 0, 99))
    target.parent.mkdir(parents=True)
    target.write_bytes(CONTENT)
    bring(package("http://unasked.invalid"), target, room=99)
    with pytest.raises(Unusable):
        bring(package("http://unasked.invalid"), target, room=100)


def test_a_disk_that_fills_up_keeps_the_part(package_mirror: UpstreamServer, target: Path) -> None:
    package_mirror.rate = 2_000_000

    async def fill_up() -> None:
        task = asyncio.create_task(bring_async(package(package_mirror.url), target))
        await asyncio.to_thread(wait_for_part, target, 200_000)
        _fill_up(part_of(target))
        with pytest.raises(Unusable) as unusable:
            await asyncio.wait_for(task, 10)
        assert unusable.value.code == "disk-full"

    asyncio.run(fill_up())
    package_mirror.rate = None
    bring(package(package_mirror.url), target)
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
