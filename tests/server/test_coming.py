"""A file that is handed out while it is unpacked: who gets what of it, when, and how it may end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from kernsym.cache.tree import Tree
from kernsym.cache.uses import Uses
from kernsym.distros import KernsymError, MemberKind, Refused
from kernsym.server.jobs.coming import Coming
from kernsym.server.served import FileAnswers
from kernsym.server.served.body import coming_body
from kernsym.server.unpack import ExtractedFile
from kernsym.server.unpack.member_file import Member
from tests.elf_writer import BUILD_ID, NOTE, PROGBITS, elf, note
from tests.server.answering import serving

NOTES = note(b"GNU", 3, bytes.fromhex(BUILD_ID))
CONTENT = elf(
    [
        (".note.gnu.build-id", NOTE, NOTES),
        (".debug_info", PROGBITS, random.Random(6).randbytes(3_000_000)),
    ]
)
SIZE = len(CONTENT)
HALF = SIZE // 2
OTHER = "ab" * 20
EXT4 = Member(kind=MemberKind.MODULE, name="ext4", path="lib/ext4.ko", packing=None)
DAMAGED = Refused("package-corrupt", "a member's content is damaged")


def whole(build_id: str | None = BUILD_ID) -> ExtractedFile:
    return ExtractedFile(
        kind=EXT4.kind, name="ext4", path=EXT4.path, size=SIZE, sha256="", build_id=build_id
    )


class Unpacking:
    """A pass over a package, whose one member is written as the test says."""

    def __init__(self, folder: Path) -> None:
        self.coming = Coming()
        self.path = folder / ".ext4.ko.part"
        self.path.write_bytes(b"")
        self._pass = self.coming.from_package("linux-image-dbg.deb")
        self._pass.__enter__()
        tell = self.coming.begin(EXT4, self.path, SIZE)
        assert tell is not None
        self._tell = tell
        self._end = 0

    def write_to(self, end: int) -> None:
        with self.path.open("ab") as file:
            file.write(CONTENT[self._end : end])
        self._end = end
        self._tell(end)

    def end(self, error: KernsymError | None = None) -> None:
        if error is None:
            self.path = self.path.rename(self.path.with_name("ext4.ko"))
            self.coming.accept(whole())
            self._pass.__exit__(None, None, None)
        else:
            self.path.unlink()
            self._pass.__exit__(type(error), error, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A client of the server that hands the file out."""

    session: aiohttp.ClientSession
    url: str

    def get(self, **headers: str) -> Awaitable[aiohttp.ClientResponse]:
        return self.session.get(self.url, headers=headers)


Story = Callable[[Unpacking, Asking], Awaitable[None]]


def tell(folder: Path, story: Story) -> None:
    """Run a story of a file of a package that is right, and of those who ask for it."""

    async def run() -> None:
        unpacking = Unpacking(folder)
        unpacking.coming.package_is_right()
        answers = FileAnswers(
            folder / "encoded",
            memory_bytes=1 << 20,
            encoded_bytes=1 << 30,
            uses=Uses(Tree(folder / "store")),
        )

        async def answer(request: web.Request) -> web.StreamResponse:
            file = await unpacking.coming.find(BUILD_ID)
            return await answers.answer(request, coming_body(file, "public"))

        async with serving(answer) as url, aiohttp.ClientSession() as session:
            await asyncio.wait_for(story(unpacking, Asking(session=session, url=url)), 30)
        answers.close()

    asyncio.run(run())


async def nothing_comes(reading: asyncio.Future[bytes]) -> None:
    done, _ = await asyncio.wait({reading}, timeout=0.2)
    assert not done


def read(answer: aiohttp.ClientResponse, size: int) -> asyncio.Future[bytes]:
    return asyncio.ensure_future(answer.content.readexactly(size))


def test_the_first_bytes_come_before_the_rest_is_there_and_the_last_when_all_was_checked(
    tmp_path: Path,
) -> None:
    async def story(unpacking: Unpacking, asking: Asking) -> None:
        waiting = asyncio.ensure_future(asking.get())
        unpacking.write_to(HALF)
        answer = await waiting
        assert (answer.status, answer.content_length) == (200, SIZE)
        assert answer.headers["X-DEBUGINFOD-SIZE"] == str(SIZE)
        assert answer.headers["X-DEBUGINFOD-FILE"] == "/lib/ext4.ko"
        assert answer.headers["X-DEBUGINFOD-ARCHIVE"] == "linux-image-dbg.deb"
        assert "ETag" not in answer.headers, "nobody knows what the rest will be"
        assert await read(answer, HALF) == CONTENT[:HALF]
        rest = read(answer, SIZE - HALF)
        unpacking.write_to(SIZE)
        await nothing_comes(rest)
        unpacking.end()
        assert await rest == CONTENT[HALF:]

    tell(tmp_path, story)


def test_who_comes_later_gets_it_from_the_first_byte_and_who_leaves_disturbs_nobody(
    tmp_path: Path,
) -> None:
    async def story(unpacking: Unpacking, asking: Asking) -> None:
        unpacking.write_to(HALF)
        answers = [await asking.get() for _ in range(3)]
        for answer in answers:
            assert await read(answer, 1000) == CONTENT[:1000]
        answers.pop(0).close()
        unpacking.write_to(2 * HALF)
        answers.append(await asking.get())
        assert await read(answers[-1], 1000) == CONTENT[:1000]
        unpacking.write_to(SIZE)
        unpacking.end()
        for answer in answers:
            assert await answer.read() == CONTENT[1000:]

    tell(tmp_path, story)


def test_ranges_wait_for_their_bytes_and_a_head_for_none(tmp_path: Path) -> None:
    async def story(unpacking: Unpacking, asking: Asking) -> None:
        unpacking.write_to(HALF)
        head = await asking.session.head(asking.url)
        assert (head.status, head.headers["Content-Length"]) == (200, str(SIZE))
        early = await asking.get(Range="bytes=100-199")
        assert (early.status, await early.read()) == (206, CONTENT[100:200])
        assert early.headers["Content-Range"] == f"bytes 100-199/{SIZE}"
        ends = [await asking.get(Range=f"bytes={span}") for span in ("-10", f"{HALF}-", "0-1,-2")]
        rest = asyncio.ensure_future(ends[0].read())
        await nothing_comes(rest)
        unpacking.write_to(SIZE)
        unpacking.end()
        assert await rest == CONTENT[-10:]
        assert await ends[1].read() == CONTENT[HALF:]
        assert CONTENT[-2:] in await ends[2].read()

    tell(tmp_path, story)


@pytest.mark.parametrize("there", [HALF, SIZE])
def test_what_proves_to_be_wrong_is_broken_off(tmp_path: Path, there: int) -> None:
    async def story(unpacking: Unpacking, asking: Asking) -> None:
        unpacking.write_to(HALF)
        answer = await asking.get()
        unpacking.write_to(there)
        unpacking.end(DAMAGED)
        with pytest.raises(aiohttp.ClientPayloadError):
            await answer.read()
        assert not unpacking.coming.has(BUILD_ID)

    tell(tmp_path, story)


def test_a_client_that_takes_nothing_gets_all_of_it_in_the_end(tmp_path: Path) -> None:
    async def story(unpacking: Unpacking, asking: Asking) -> None:
        unpacking.write_to(HALF)
        answer = await asking.get()
        unpacking.write_to(SIZE)
        unpacking.end()
        unpacking.path.unlink()
        assert await answer.read() == CONTENT

    tell(tmp_path, story)


def test_only_a_package_that_is_right_is_handed_out(tmp_path: Path) -> None:
    async def run() -> None:
        unpacking = Unpacking(tmp_path)
        unpacking.write_to(HALF)
        assert unpacking.coming.has(BUILD_ID)
        found = asyncio.ensure_future(unpacking.coming.find(BUILD_ID))
        other = asyncio.ensure_future(unpacking.coming.find(OTHER))
        await asyncio.sleep(0.1)
        assert not found.done()
        unpacking.coming.package_is_right()
        assert (await found).size == SIZE
        assert not other.done()
        other.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("build_id", [OTHER, None])
def test_a_file_whose_build_id_is_another_in_the_end_is_not_whole(
    tmp_path: Path, build_id: str | None
) -> None:
    async def run() -> None:
        unpacking = Unpacking(tmp_path)
        unpacking.coming.package_is_right()
        unpacking.write_to(SIZE)
        file = await unpacking.coming.find(BUILD_ID)
        unpacking.coming.accept(whole(build_id))
        there = await file.reach(0)
        assert there < SIZE
        with pytest.raises(Refused, match="build ID"):
            await file.reach(there)

    asyncio.run(run())


def open_below(folder: Path) -> list[str]:
    """The files in a folder that this process has open, removed ones too."""
    links = (str(path.readlink()) for path in Path("/proc/self/fd").iterdir() if path.is_symlink())
    return [target for target in links if target.startswith(str(folder))]


def test_nothing_of_it_is_left_when_nobody_reads_it(tmp_path: Path) -> None:
    unpacking = Unpacking(tmp_path)
    unpacking.write_to(HALF)
    assert open_below(tmp_path)
    unpacking.end(DAMAGED)
    del unpacking
    assert not open_below(tmp_path)


@pytest.mark.parametrize(
    ("kind", "size"), [(MemberKind.SYSTEM_MAP, SIZE), (MemberKind.MODULE, 500_000)]
)
def test_what_nobody_can_ask_for_or_is_small_is_not_announced(
    tmp_path: Path, kind: MemberKind, size: int
) -> None:
    member = Member(kind=kind, name="", path="x", packing=None)
    assert Coming().begin(member, tmp_path / "x", size) is None
