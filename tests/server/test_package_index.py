"""Looking through the packages that are held, while nobody waits."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kernsym.cache import Bundle, Store, Verification
from kernsym.cache.messages import Part, Priority
from kernsym.distros import Fingerprint, Source
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.lookup.package_index import PackageIndex
from tests.cache.test_store import BANNER, KERNEL, REF
from tests.deb_writer import ar, deb, tar
from tests.elf_writer import module

EXT4 = "ab" * 20
PACKAGE_NAME = REF.package.name
MEMBER = f"./usr/lib/debug/lib/modules/{KERNEL.uname}/kernel/fs/ext4/ext4.ko"
PACKAGE = deb([(MEMBER, module(EXT4))])


def hold(store: Store, package: bytes = PACKAGE, *, all_modules: bool = False) -> Bundle:
    path = store.package_path(KERNEL, REF)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(package)
    shown = Verification(by=("banner",), banner=BANNER, build_id=None)
    return store.publish(
        Bundle(
            kernel=KERNEL, verification=shown, packages=(REF,), files=(), all_modules=all_modules
        )
    )


async def until_known(store: Store) -> None:
    while store.known.find(EXT4) is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


async def for_ever(job: Job) -> None:
    await asyncio.Event().wait()


async def at_once(job: Job) -> None:
    return None


def start(board: JobBoard, work: object, priority: Priority) -> Job:
    assert callable(work)
    return board.start(KERNEL, Part.SYMBOLS, Fingerprint(), work, priority=priority)


async def test_what_a_job_brought_is_looked_through(store: Store) -> None:
    index = PackageIndex(store, enabled=True)
    board = JobBoard(on_end=index.consider)
    async with index.working(board):
        hold(store)
        start(board, at_once, Priority.PERSON)
        await asyncio.wait_for(until_known(store), 20)
    known = store.known.read(KERNEL.key)
    assert known is not None
    assert (known.modules, known.listed) == ({EXT4: "ext4"}, (REF.package.id,))
    assert store.index_path(KERNEL, REF).is_file(), "the next module is found without a pass"


async def test_what_an_earlier_server_left_is_made_up_for(store: Store) -> None:
    hold(store)
    async with PackageIndex(store, enabled=True).working(JobBoard()):
        await asyncio.wait_for(until_known(store), 20)


async def test_it_gives_way_to_what_a_person_waits_for(store: Store) -> None:
    hold(store)
    board = JobBoard()
    job = start(board, for_ever, Priority.PERSON)
    index = PackageIndex(store, enabled=True)
    async with index.working(board):
        await asyncio.sleep(1.5)
        assert store.known.find(EXT4) is None and index.unread == 1
        await board.cancel(job, "a test")
        await asyncio.wait_for(until_known(store), 20)
        while index.unread:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_it_does_not_give_way_to_work_in_the_background(store: Store) -> None:
    hold(store)
    board = JobBoard()
    start(board, for_ever, Priority.BACKGROUND)
    async with PackageIndex(store, enabled=True).working(board):
        await asyncio.wait_for(until_known(store), 20)
    await board.close()


async def test_it_ends_with_the_server_also_while_it_waits(store: Store) -> None:
    hold(store)
    board = JobBoard()
    start(board, for_ever, Priority.PERSON)
    async with PackageIndex(store, enabled=True).working(board):
        await asyncio.sleep(0.2)
    await board.close()
    assert store.known.find(EXT4) is None


async def test_a_damaged_package_harms_nobody(
    store: Store, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    hold(store, PACKAGE[:-50])
    async with PackageIndex(store, enabled=True).working(JobBoard()):
        while "cannot be looked through" not in caplog.text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert store.known.find(EXT4) is None


@pytest.mark.parametrize(("enabled", "all_modules"), [(False, False), (True, True)])
async def test_where_nothing_is_to_be_learned(
    store: Store, enabled: bool, all_modules: bool
) -> None:
    hold(store, all_modules=all_modules)
    index = PackageIndex(store, enabled=enabled)
    async with index.working(JobBoard()):
        await asyncio.sleep(0.3)
    assert store.known.read(KERNEL.key) is None


async def test_folders_are_scanned_again_and_again(store: Store, tmp_path: Path) -> None:
    """What comes is found, and looked through under the name that it gives itself; what goes is
    forgotten."""
    folder = tmp_path / "packages"
    folder.mkdir()
    source = Source(distro="*", kind="directory", url=folder.as_uri())
    control = f"Package: {PACKAGE_NAME}\nVersion: {KERNEL.version}\nArchitecture: amd64\n"
    index = PackageIndex(store, (source,), enabled=True, scan_seconds=0.1)
    async with index.working(JobBoard()):
        await asyncio.sleep(0.3)
        package = folder / "came later"
        package.write_bytes(
            ar(
                [
                    ("debian-binary", b"2.0\n"),
                    ("control.tar", tar([("./control", control.encode())])),
                    ("data.tar", tar([(MEMBER, module(EXT4))])),
                ]
            )
        )
        await asyncio.wait_for(until_known(store), 20)
        assert store.scanned.names(folder) == (REF.package.id,)
        package.unlink()
        while store.scanned.names(folder):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    found = store.known.find(EXT4)
    assert found is not None and (found.package, found.module) == (REF.package.id, "ext4")
