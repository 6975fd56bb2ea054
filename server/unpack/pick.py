"""Takes single members out of a package that has come whole, without unpacking all of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from kernsym.distros import Layout, MemberKind
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.member_file import (
    Destination,
    ExtractedFile,
    Member,
    find_member,
    write_member,
)
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.payload import Stopped
from kernsym.server.unpack.sorted_tar import SortedTar, open_sorted_tar

Run = dict[str, Member]  # members by their paths in the package, near each other

_LONG = 4  # blocks: to a run over more of them all threads are given


class NotSorted(Exception):
    """A member is not where the order of the others says."""


def pick(
    package: ByteSource,
    layout: Layout,
    wanted: Callable[[MemberKind, str, str], bool],
    into: Destination,
    on_file: Callable[[ExtractedFile], None],
    stop: Callable[[], bool],
) -> frozenset[str] | None:
    """As `extract`, where the members can be found: vmlinux first, then the modules.

    Returns the names of all modules of the package; None when it has to be read through, for what
    `wanted` then still agrees to.  Raises `Stopped`, and as `extract`.
    """
    tar = open_sorted_tar(package)
    if tar is None:
        return None
    members = {path: member for path in tar.paths if (member := find_member(layout, path))}
    if not members:
        return None
    modules = {path: each for path, each in members.items() if each.kind is MemberKind.MODULE}
    others = {path: each for path, each in members.items() if path not in modules}
    try:
        for group in (others, modules):
            chosen = {
                path: each
                for path, each in group.items()
                if wanted(each.kind, each.name, each.path)
            }
            with contextlib.closing(_take(tar, chosen, into, stop)) as files:
                for file in files:
                    on_file(file)
            if stop():
                raise Stopped
    except NotSorted:
        return None
    return frozenset(member.name for member in modules.values())


def _take(
    tar: SortedTar, chosen: Run, into: Destination, stop: Callable[[], bool]
) -> Generator[ExtractedFile, None, None]:
    """Writes the members; of several short runs, some at once."""
    runs = list(_runs(tar, chosen))
    together = [run for run in runs if _is_long(tar, run)]
    for run in together:
        yield from _read(tar, run, into, stop, together=True)
    written: SimpleQueue[ExtractedFile | None] = SimpleQueue()
    failures: list[BaseException] = []  # the first one stops the other runs

    def alone(run: Run) -> None:
        try:
            for file in _read(tar, run, into, lambda: bool(failures) or stop(), together=False):
                written.put(file)
        except BaseException as error:
            failures.append(error)
        written.put(None)

    with ThreadPoolExecutor(tar.threads, "members") as threads:
        try:
            for _ in [threads.submit(alone, run) for run in runs if run not in together]:
                yield from iter(written.get, None)
        except BaseException as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _runs(tar: SortedTar, chosen: Run) -> Iterator[Run]:
    """The members in groups: where less than a block of others lies between two, it costs less to
    read on than to enter the archive again."""
    run: Run = {}
    last = 0
    for path, member in sorted(chosen.items(), key=lambda item: tar.rank[item[0]]):
        rank = tar.rank[path]
        if run and rank - last > tar.files_of_a_block:
            yield run
            run = {}
        run[path], last = member, rank
    if run:
        yield run


def _is_long(tar: SortedTar, run: Run) -> bool:
    ranks = [tar.rank[path] for path in run]
    files = max(ranks) - min(ranks)
    has_vmlinux = any(member.kind is MemberKind.VMLINUX for member in run.values())
    return has_vmlinux or files > _LONG * tar.files_of_a_block


def _read(
    tar: SortedTar, run: Run, into: Destination, stop: Callable[[], bool], *, together: bool
) -> Iterator[ExtractedFile]:
    """Writes the members of a run.  Raises `NotSorted` when one is not where it should be."""
    left = dict(run)
    first, *_, last = (*run, *run)
    allowance = Allowance()
    with tar.open_before(first, stop, together=together) as archive:
        for entry, path in safe_files(archive, allowance):
            if path in left:
                yield write_member(left.pop(path), archive, entry, into, allowance)
            if not left:
                return
            if tar.rank.get(path, 0) > tar.rank[last]:
                break
    raise NotSorted
