"""vmlinux, System.map and the wanted modules out of a package: in one pass, or picked out."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind, Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import Archive, Entry, Stopped
from kernsym.server.unpack.entering.index_maker import IndexMaker, making_index
from kernsym.server.unpack.entering.pick import pick
from kernsym.server.unpack.member_file import (
    Destination,
    ExtractedFile,
    ForLater,
    OnBegin,
    find_member,
    nobody,
    soon,
    write_member,
)
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.notes import noted_build_id
from kernsym.server.unpack.payload import open_payload

Wanted = Callable[[MemberKind, str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a pass went by.  `modules`: names of all modules seen, wanted or not; every module of
    the package when `complete`.  `indexed`: it has left an index, for `keep_index`."""

    complete: bool
    modules: frozenset[str]
    indexed: bool = False


def extract(
    package: ByteSource,
    layout: Layout,
    wanted: Wanted,
    into: Path,
    on_file: Callable[[ExtractedFile], None],
    *,
    stop: Callable[[], bool] = lambda: False,
    on_begin: OnBegin = nobody,
    for_later: ForLater = soon,
    index: Path | None = None,
) -> Pass:
    """Writes the members that `wanted(kind, name, path)` agrees to, each beside and then renamed.

    `wanted` is asked when the member comes by and may block; `on_file` hears of a file as soon as
    it is whole, `on_begin` when it begins.  What is `for_later` is kept out of the page cache.
    `stop` ends the pass early, also inside a member.
    Where the package allows it only what is wanted is unpacked, vmlinux before the modules; where
    it does not, what an earlier pass left at `index` may.  A pass that comes to the end of the
    package, or near it, leaves one.
    Links are passed over: what they lead to is a member too, and a layout names all its places.
    Of a set of hard links, the name that carries the content counts.
    The package's digest is not known yet: publish nothing before it is.

    Raises `Refused` (`package-corrupt`, `package-unsafe`, `package-kind-unknown`), `Unusable`
    (`disk-full`), and what kept the package from coming.
    """
    target = Destination(folder=into, on_begin=on_begin, for_later=for_later)
    try:
        listed = pick(package, layout, wanted, target, on_file, stop, index)
    except Stopped:
        return Pass(complete=False, modules=frozenset())
    if listed is not None:
        return Pass(complete=True, modules=listed)
    with making_index(index, package) as maker:
        reading = _Reading(layout, wanted, target, on_file, maker)
        try:
            reading.run(package, stop)
        except Stopped:
            return Pass(complete=False, modules=frozenset(reading.modules))
    indexed = maker is not None and maker.complete
    return Pass(complete=True, modules=frozenset(reading.modules), indexed=indexed)


class _Reading:
    """A pass that reads a package through."""

    def __init__(
        self,
        layout: Layout,
        wanted: Wanted,
        target: Destination,
        on_file: Callable[[ExtractedFile], None],
        maker: IndexMaker | None,
    ) -> None:
        self.modules: set[str] = set()
        self._layout = layout
        self._wanted = wanted
        self._target = target
        self._on_file = on_file
        self._maker = maker
        self._allowance = Allowance()

    def run(self, package: ByteSource, stop: Callable[[], bool]) -> None:
        def enough() -> bool:
            read = self._allowance.packed or 0
            return stop() and not (self._maker and self._maker.is_nearly_done(read))

        with open_payload(package, enough, self._allowance, self._maker) as archive:
            for entry, path in safe_files(archive, self._allowance):
                build_id = self._read(archive, entry, path)
                if self._maker is not None:
                    self._maker.member(path, entry.position, build_id)
                if enough():
                    raise Stopped
        if self._maker is not None:
            self._maker.finish()

    def _read(self, archive: Archive, entry: Entry, path: str) -> str | None:
        """Writes the current member if it is wanted; its build ID, as far as that is known."""
        member = find_member(self._layout, path)
        if member is None:
            return None
        if member.kind is MemberKind.MODULE:
            self.modules.add(member.name)
        if self._wanted(member.kind, member.name, member.path):
            file = write_member(member, archive, entry, self._target, self._allowance)
            self._on_file(file)
            return file.build_id
        if member.kind is MemberKind.MODULE and self._maker is not None:
            with contextlib.suppress(Refused):  # nobody asked for this one
                return noted_build_id(member, archive, entry, self._allowance)
        return None


def extract_found(
    package: ByteSource,
    layout: Layout,
    wanted: Wanted,
    into: Path,
    on_file: Callable[[ExtractedFile], None],
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Pass | None:
    """As `extract`, but of the package nothing is read that can be passed over; None where it has
    to be read through for what `wanted` then still agrees to."""
    target = Destination(folder=into, on_begin=nobody, for_later=soon)
    try:
        listed = pick(package, layout, wanted, target, on_file, stop)
    except Stopped:
        return Pass(complete=False, modules=frozenset())
    return Pass(complete=True, modules=listed) if listed is not None else None
