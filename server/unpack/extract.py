"""One pass over a package: vmlinux, the wanted modules, System.map."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind, Refused
from kernsym.server import elf
from kernsym.server.disk import writing
from kernsym.server.growing import ByteSource
from kernsym.server.unpack.archive import Archive, Entry, open_archive
from kernsym.server.unpack.members import Allowance, inner_packing, safe_files
from kernsym.server.unpack.payload import Stopped, open_payload

_ELF_KINDS = (MemberKind.VMLINUX, MemberKind.STRIPPED, MemberKind.MODULE)
_KINDS = (*_ELF_KINDS, MemberKind.SYSTEM_MAP)

Wanted = Callable[[MemberKind, str, str], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedFile:
    """A member that was written.

    `name`: a module's normalised name.  `path`: relative to the folder that was extracted into,
    without the suffix of the compression that a module or a stripped kernel came in.  `size` in
    bytes and `sha256` in hex of the file as written; `build_id` None when it carries none.
    """

    kind: MemberKind
    name: str
    path: str
    size: int
    sha256: str
    build_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a pass went by.  `modules`: names of all modules seen, wanted or not; every module of
    the package when `complete`."""

    complete: bool
    modules: frozenset[str]


def extract(
    package: ByteSource,
    layout: Layout,
    wanted: Wanted,
    into: Path,
    on_file: Callable[[ExtractedFile], None],
    *,
    on_member: Callable[[str], None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Pass:
    """Writes the members that `wanted(kind, name, path)` agrees to, each beside and then renamed.

    `wanted` is asked when the member comes by and may block; `on_file` hears of a file as soon as
    it is whole, `on_member` of every member.  `stop` ends the pass early, also inside a member.
    Links are passed over: what they lead to is a member too, and a layout names all its places.
    Of a set of hard links, the name that carries the content counts.
    The package's digest is not known yet: publish nothing before it is.

    Raises `Refused` (`package-corrupt`, `package-unsafe`, `package-kind-unknown`), `Unusable`
    (`disk-full`), and what kept the package from coming.
    """
    modules: set[str] = set()
    allowance = Allowance()
    try:
        with open_payload(package, stop) as archive:
            for entry, path in safe_files(archive, allowance):
                if on_member is not None:
                    on_member(path)
                found = layout.classify(path)
                if found is None or found[0] not in _KINDS:
                    continue
                kind, name = found
                if kind is MemberKind.MODULE:
                    modules.add(name)
                kept, packing = inner_packing(kind, path)
                if wanted(kind, name, kept):
                    with _content(archive, packing, entry, allowance) as blocks:
                        on_file(_write(kind, name, kept, into, blocks))
                if stop():
                    raise Stopped
    except Stopped:
        return Pass(complete=False, modules=frozenset(modules))
    return Pass(complete=True, modules=frozenset(modules))


@contextlib.contextmanager
def _content(
    archive: Archive, packing: str | None, entry: Entry, allowance: Allowance
) -> Iterator[Iterable[memoryview]]:
    """The content of the current member, unpacked where it is packed once more."""
    if packing is None:
        yield archive.blocks()
        return
    with open_archive(archive.blocks(), format_name="raw", filter_name=packing) as inner:
        next(inner.entries())
        yield allowance.counted(inner.blocks(), entry.path)


def _write(
    kind: MemberKind, name: str, path: str, into: Path, blocks: Iterable[memoryview]
) -> ExtractedFile:
    target = into / path
    beside = target.with_name(f".{target.name}.part")
    digest = hashlib.sha256()
    size = 0
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with writing(target), beside.open("wb") as file:
            for block in blocks:
                digest.update(block)
                size += file.write(block)
        build_id = _build_id(beside) if kind in _ELF_KINDS else None
        with writing(target):
            beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return ExtractedFile(
        kind=kind, name=name, path=path, size=size, sha256=digest.hexdigest(), build_id=build_id
    )


def _build_id(path: Path) -> str | None:
    """A file that is no ELF has none, and so never equals what a dump asks for."""
    try:
        return elf.build_id(path)
    except Refused:
        return None
