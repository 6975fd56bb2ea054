"""One member of a package becomes a file: written beside its place, hashed, renamed; who wants to
read it meanwhile is told how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind, Refused
from kernsym.server.binaries import elf
from kernsym.server.disk import require_room, writing
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import Archive, Entry, open_archive
from kernsym.server.unpack.digest import Digest
from kernsym.server.unpack.file_writer import FileWriter
from kernsym.server.unpack.members import inner_packing

_ELF_KINDS = (MemberKind.VMLINUX, MemberKind.STRIPPED, MemberKind.MODULE)
_KINDS = (*_ELF_KINDS, MemberKind.SYSTEM_MAP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A member that somebody may want.

    `name`: a module's normalised name.  `path`: where it is kept, relative to the folder that is
    extracted into, without the suffix of the compression that a module or a stripped kernel comes
    in, which is `packing`, by libarchive's name.
    """

    kind: MemberKind
    name: str
    path: str
    packing: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractedFile:
    """A member that was written.

    `kind`, `name` and `path` as of `Member`; `size` in bytes and `sha256` in hex of the file as
    written; `build_id` None when it carries none.
    """

    kind: MemberKind
    name: str
    path: str
    size: int
    sha256: str
    build_id: str | None


# Hears of a member that begins, of the file that it is written to, and how many bytes it will have;
# gives what is told how many of them are there, or None.
OnBegin = Callable[[Member, Path, int], Callable[[int], None] | None]


def nobody(member: Member, path: Path, size: int) -> None:
    """Nobody reads a member while it is written."""


def soon(member: Member) -> bool:
    """Every member is about to be read."""
    return False


# Whether nobody is about to read a member that is wanted.
ForLater = Callable[[Member], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where members go: below `folder`; `on_begin` hears of those whose size is known, in the
    thread that unpacks them.  Those that are `for_later` are kept out of the page cache."""

    folder: Path
    on_begin: OnBegin
    for_later: ForLater


def find_member(layout: Layout, path: str) -> Member | None:
    """What the member at `path` of a package is to us; None: nothing."""
    kind, name = layout.classify(path) or (None, "")
    if kind is None or kind not in _KINDS:
        return None
    kept, packing = inner_packing(kind, path)
    return Member(kind=kind, name=name, path=kept, packing=packing)


def write_member(
    member: Member, archive: Archive, entry: Entry, into: Destination, allowance: Allowance
) -> ExtractedFile:
    """Writes the archive's current member.  Raises as `extract`."""
    target = into.folder / member.path
    beside = target.with_name(f".{target.name}.part")
    size = 0
    require_room(target.parent, entry.size)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            writing(target),
            content_of(member, archive, entry, allowance) as blocks,
            contextlib.closing(
                FileWriter(beside, entry.size, past_cache=into.for_later(member))
            ) as file,
            contextlib.closing(Digest(entry.size)) as digest,
        ):
            tell = into.on_begin(member, beside, entry.size) if member.packing is None else None
            for block in blocks:
                digest.update(block)
                file.write(block)
                size += len(block)
                if tell is not None:
                    tell(size)
        build_id = _build_id(beside) if member.kind in _ELF_KINDS else None
        with writing(target):
            beside.replace(target)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return ExtractedFile(
        kind=member.kind,
        name=member.name,
        path=member.path,
        size=size,
        sha256=digest.hexdigest(),
        build_id=build_id,
    )


@contextlib.contextmanager
def content_of(
    member: Member, archive: Archive, entry: Entry, allowance: Allowance
) -> Iterator[Iterable[memoryview]]:
    """The content of the current member, unpacked where it is packed once more."""
    if member.packing is None:
        yield allowance.counted(archive.blocks(), entry.path)
        return
    with open_archive(archive.blocks(), format_name="raw", filter_name=member.packing) as inner:
        next(inner.entries())
        yield allowance.counted(inner.blocks(), entry.path, claimed=False)


def _build_id(path: Path) -> str | None:
    """A file that is no ELF has none, and so never equals what a dump asks for."""
    try:
        return elf.build_id(path)
    except Refused:
        return None
