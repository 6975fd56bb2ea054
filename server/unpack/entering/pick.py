"""Takes single members out of a package that has come whole, without unpacking all of it."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from queue import SimpleQueue

from kernsym.distros import Layout, MemberKind, Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import Stopped
from kernsym.server.unpack.entering.entrances import Misplaced
from kernsym.server.unpack.entering.index_file import OpenIndex, open_index
from kernsym.server.unpack.entering.whereabouts import ListedDigest, Whereabouts, find_whereabouts
from kernsym.server.unpack.member_file import (
    Destination,
    ExtractedFile,
    Member,
    find_member,
    write_member,
)
from kernsym.server.unpack.members import safe_files

_CORRUPT = "package-corrupt"
_BLOCK = 1 << 20

Run = dict[str, Member]  # members by their paths in the package, near each other

_LONG = 4  # entrances: to a run over more of them all threads are given


def pick(
    package: ByteSource,
    layout: Layout,
    wanted: Callable[[MemberKind, str, str], bool],
    into: Destination,
    on_file: Callable[[ExtractedFile], None],
    stop: Callable[[], bool],
    index: Path | None = None,
) -> frozenset[str] | None:
    """As `extract`, where the members can be found: vmlinux first, then the modules.

    Returns the names of all modules of the package; None when it has to be read through, for what
    `wanted` then still agrees to.  Raises `Stopped`, and as `extract`.
    """
    with _opened(index, package) as left:
        found = find_whereabouts(package, left)
        if found is None:
            return None
        try:
            return _pick(found, layout, wanted, into, on_file, stop)
        except Misplaced:
            return None
        except Refused as error:
            if error.code != _CORRUPT:
                raise
            return None  # who reads it through finds out whether that, or the way, is damaged


def _opened(index: Path | None, package: ByteSource) -> AbstractContextManager[OpenIndex | None]:
    package.read_at(0, 1)  # only one that has begun knows whether it is whole
    if index is None or package.whole() is None:
        return contextlib.nullcontext()
    return open_index(index, package)


def _pick(
    found: Whereabouts,
    layout: Layout,
    wanted: Callable[[MemberKind, str, str], bool],
    into: Destination,
    on_file: Callable[[ExtractedFile], None],
    stop: Callable[[], bool],
) -> frozenset[str] | None:
    members = {path: member for path in found.paths if (member := find_member(layout, path))}
    if not members:
        return None
    modules = {path: each for path, each in members.items() if each.kind is MemberKind.MODULE}
    others = {path: each for path, each in members.items() if path not in modules}
    for group in (others, modules):
        chosen = {
            path: each for path, each in group.items() if wanted(each.kind, each.name, each.path)
        }
        with contextlib.closing(_take(found, chosen, into, stop)) as files:
            for file in files:
                on_file(file)
        if stop():
            raise Stopped
    return frozenset(member.name for member in modules.values())


def _take(
    found: Whereabouts, chosen: Run, into: Destination, stop: Callable[[], bool]
) -> Generator[ExtractedFile, None, None]:
    """Writes the members; of several short runs, some at once."""
    runs = list(_runs(found, chosen))
    together = [run for run in runs if _is_long(found, run)]
    for run in together:
        yield from _read(found, run, into, stop, together=True)
    written: SimpleQueue[ExtractedFile | None] = SimpleQueue()
    failures: list[BaseException] = []  # the first one stops the other runs

    def alone(run: Run) -> None:
        try:
            for file in _read(found, run, into, lambda: bool(failures) or stop(), together=False):
                written.put(file)
        except BaseException as error:
            failures.append(error)
        written.put(None)

    with ThreadPoolExecutor(found.threads, "members") as threads:
        try:
            for _ in [threads.submit(alone, run) for run in runs if run not in together]:
                yield from iter(written.get, None)
        except BaseException as error:
            failures.append(error)
    if failures:
        raise failures[0]


def _runs(found: Whereabouts, chosen: Run) -> Iterator[Run]:
    """The members in groups: where fewer others lie between two than between two entrances, it
    costs less to read on than to enter the archive again."""
    run: Run = {}
    last = 0
    for path, member in sorted(chosen.items(), key=lambda item: found.rank[item[0]]):
        rank = found.rank[path]
        if run and rank - last > found.files_of_an_entrance:
            yield run
            run = {}
        run[path], last = member, rank
    if run:
        yield run


def _is_long(found: Whereabouts, run: Run) -> bool:
    ranks = [found.rank[path] for path in run]
    files = max(ranks) - min(ranks)
    has_vmlinux = any(member.kind is MemberKind.VMLINUX for member in run.values())
    return has_vmlinux or files > _LONG * found.files_of_an_entrance


def _read(
    found: Whereabouts, run: Run, into: Destination, stop: Callable[[], bool], *, together: bool
) -> Iterator[ExtractedFile]:
    """Writes the members of a run.  Raises `Misplaced` when one is not where it should be."""
    left = dict(run)
    first, *_, last = (*run, *run)
    allowance = Allowance()
    with found.open_before(first, stop, together=together) as archive:
        for entry, path in safe_files(archive, allowance):
            if path in left:
                member = left.pop(path)
                file = write_member(member, archive, entry, into, allowance)
                if member.packing is None and path in found.digests:
                    _require(found.digests[path], file, into.folder / file.path)
                yield file
            if not left:
                return
            if found.rank.get(path, 0) > found.rank[last]:
                break
    raise Misplaced


def _require(listed: ListedDigest, file: ExtractedFile, place: Path) -> None:
    """Raises `Misplaced` for a file that is not the one that the package lists; it is gone then."""
    algorithm, digest = listed
    found = file.sha256 if algorithm == "sha256" else _digest_of(place, algorithm)
    if found != digest:
        place.unlink(missing_ok=True)
        raise Misplaced


def _digest_of(place: Path, algorithm: str) -> str:
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with place.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
