"""Files out of a package that does not come whole: what comes, the mark, and the check."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kernsym.cache import Store
from kernsym.cache.messages import EventKind, JobState, Partial
from kernsym.server.mirrors.ranged_file import PIECE, ranges_of
from tests.processes import wait_for
from tests.server import small_distro as small
from tests.server.parts import (
    COUNT,
    NAME,
    Bringing,
    bringing,
    build_id_of,
    members,
    package,
    publish,
    said,
)
from tests.upstream import UpstreamServer

PACKAGE = package(members())
SIZE = len(PACKAGE)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UpstreamServer:  # type: ignore[misc]
    root = tmp_path / "mirror"
    root.mkdir()
    publish(monkeypatch, root, PACKAGE)
    with UpstreamServer(root) as server:
        yield server


def run(
    store: Store,
    mirror: UpstreamServer,
    work: Callable[[Bringing], Awaitable[None]],
    *,
    for_all: bool = False,
) -> None:
    async def alone() -> None:
        async with bringing(store, mirror, for_all=for_all) as there:
            await work(there)

    asyncio.run(alone())


def files_of_package(store: Store) -> set[str]:
    return {path.name for path in store.root.rglob("packages/*")}


def test_only_parts_come_and_it_says_so(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        events = await there.ask("m03", "m30", partial=Partial.ONLY)
        assert events[-1].kind is EventKind.DONE
        came = mirror.bytes_sent
        assert came < SIZE * 0.9
        assert "by ranges; the signature of the whole was not checked" in said(events, "download")
        bundle = there.held("m03", "m30")
        assert bundle is not None and set(bundle.modules()) == {"m03", "m30"}
        (mark,) = bundle.unchecked
        assert (mark.package, mark.size, mark.later) == (NAME, SIZE, False)
        assert set(mark.paths) == {file.path for file in bundle.files}
        assert came - PIECE <= mark.came <= came
        assert there.check() is None
        await there.ask("m03", "m30", "m31", partial=Partial.ONLY)
        assert mirror.bytes_sent - came < SIZE * 0.2, "what came before does not come again"

    run(store, mirror, work)


def test_nobody_else_is_given_what_is_not_checked(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        await there.ask("m03", partial=Partial.ONLY)
        assert store.find_build_id(build_id_of(3)) is None
        assert there.held("m03", partial=Partial.NO) is None
        sent = mirror.bytes_sent
        events = await there.ask("m03", partial=Partial.NO)
        assert mirror.bytes_sent < SIZE + PIECE, "of the whole only what lacked came"
        assert mirror.bytes_sent > sent
        assert "as it was published" in said(events, "checked")
        counted = sum(job.status().downloaded for job in there.jobs.jobs())
        assert counted == mirror.bytes_sent, "what was taken over did not come again"
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and not bundle.unchecked
        assert store.find_build_id(build_id_of(3)) is not None

    run(store, mirror, work)
    assert files_of_package(store) == {NAME}


def test_the_rest_comes_in_the_background(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        await there.ask("m03")
        check = there.check()
        assert check is not None and check.status().priority.value == "background"
        assert (await there.follow(check))[-1].kind is EventKind.DONE
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and not bundle.unchecked
        assert mirror.bytes_sent == SIZE

    run(store, mirror, work)


def test_a_check_that_was_interrupted_goes_on_with_the_next_server(
    store: Store, mirror: UpstreamServer
) -> None:
    async def first(there: Bringing) -> None:
        await there.ask("m03")
        mirror.rate = 100_000

    async def second(there: Bringing) -> None:
        mirror.rate = None
        await asyncio.to_thread(wait_for, lambda: there.check() is not None)
        check = there.check()
        assert check is not None
        assert (await there.follow(check))[-1].kind is EventKind.DONE
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and not bundle.unchecked

    run(store, mirror, first)
    held = store.bundle(small.kernel("near"))
    assert held is not None and held.unchecked
    run(store, mirror, second)


def test_a_check_that_is_cancelled_leaves_the_mark(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        await there.ask("m03")
        mirror.rate = 100_000
        check = there.check()
        assert check is not None
        await there.jobs.cancel(check, "somebody")
        assert check.state is JobState.CANCELLED
        bundle = there.held("m03")
        assert bundle is not None and bundle.unchecked

    run(store, mirror, work)


def test_a_source_may_be_read_in_part_for_everybody(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        mirror.rate = 3_000_000
        await there.ask("m03", partial=Partial.NO)
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and bundle.unchecked[0].for_all
        assert store.find_build_id(build_id_of(3)) is not None
        assert there.check() is not None

    run(store, mirror, work, for_all=True)


@pytest.mark.parametrize("where", ["not come", "used"])
def test_what_proves_to_be_wrong_is_withdrawn(
    store: Store, mirror: UpstreamServer, where: str
) -> None:
    file = mirror.root / NAME

    async def work(there: Bringing) -> None:
        await there.ask("m03", partial=Partial.ONLY)
        held = store.bundle(small.kernel("near"))
        assert held is not None
        vmlinux = store.folder(held.kernel) / held.files[0].path
        data, journal = ranges_of(store.folder(held.kernel) / "packages" / NAME)
        if where == "used":  # bytes that were not those of the package, though they fitted
            with data.open("r+b") as changed:
                changed.seek(100)
                changed.write(b"?")
        else:
            come = {int(line) for line in journal.read_text().splitlines()[1:]}
            at = PIECE * next(number for number in range(SIZE) if number not in come)
            file.write_bytes(PACKAGE[:at] + b"??" + PACKAGE[at + 2 :])
        events = await there.ask("m03", partial=Partial.NO)
        problem = events[-1].problem
        assert problem is not None and problem.code == "withdrawn", events
        assert not vmlinux.exists()
        assert store.bundle(small.kernel("near")) is None
        assert store.find_build_id(small.build_id(1)) is None
        file.write_bytes(PACKAGE)
        told = await there.ask("m03")
        assert "were wrong" in said(told, "withdrawn")
        assert "whole package" in said(told, "whole"), "no more parts of it are trusted"
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and not bundle.unchecked
        assert said(await there.ask("m04"), "withdrawn") == ""

    run(store, mirror, work)


@pytest.mark.parametrize(
    ("why", "content", "ranges"),
    [
        ("it answered 200 instead of 206", PACKAGE, False),
        ("without reading all before them", package(members(5), block_size=1 << 24), True),
        ("m03 is not of", package(members(20, "4.4.0 SMP")), True),
    ],
)
def test_the_whole_comes_where_parts_are_no_good(
    store: Store,
    mirror: UpstreamServer,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    content: bytes,
    ranges: bool,
) -> None:
    publish(monkeypatch, mirror.root, content)
    mirror.ranges = ranges

    async def work(there: Bringing) -> None:
        events = await there.ask("m03")
        assert events[-1].kind is EventKind.DONE
        assert why in said(events, "whole")
        bundle = there.held("m03", partial=Partial.NO)
        assert bundle is not None and not bundle.unchecked

    run(store, mirror, work)


def test_a_package_that_changes_under_way_is_not_mixed(
    store: Store, mirror: UpstreamServer
) -> None:
    """Between two ranges; nothing of it is published, and nothing is left of it."""
    other = PACKAGE[::-1]

    def change(path: str, hit: int) -> None:
        if hit == 3:
            (mirror.root / NAME).write_bytes(other)

    mirror.status_for = change

    async def work(there: Bringing) -> None:
        events = await there.ask("m03")
        assert "changed on the mirror" in said(events, "whole")
        problem = events[-1].problem
        assert problem is not None and problem.kind == "refused"
        assert store.bundle(small.kernel("near")) is None

    run(store, mirror, work)
    assert files_of_package(store) == set()


def test_every_module_is_no_part(store: Store, mirror: UpstreamServer) -> None:
    async def work(there: Bringing) -> None:
        events = await there.ask(everything=True)
        assert said(events, "whole").endswith("every module is wanted")
        bundle = there.held()
        assert bundle is not None and len(bundle.modules()) == COUNT and not bundle.unchecked

    run(store, mirror, work)
