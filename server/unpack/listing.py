"""One pass over a package that writes no files: which build IDs its modules have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kernsym.distros import Layout, MemberKind
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.archive import Archive, Entry, Stopped
from kernsym.server.unpack.entering.index_file import keep_index, open_index
from kernsym.server.unpack.entering.index_maker import making_index
from kernsym.server.unpack.member_file import content_of, find_member
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.notes import all_notes, noted_build_id
from kernsym.server.unpack.payload import open_payload


def list_modules(
    package: ByteSource,
    layout: Layout,
    *,
    vmlinux: bool = False,
    index: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, str] | None:
    """The names of all modules by their build IDs; None when `stop` ended the pass, which is made
    with one thread.

    They are in the `index`, if an earlier pass left one; else this one leaves it there, so the
    package has to be one that was checked.
    With `vmlinux` the build IDs that stand in that file too, under the name "": its own is one of
    them, the others are of what is embedded in it.
    What it says is a hint: only the file itself, once it is written, proves what it is.
    Raises as `extract`.
    """
    known = _indexed(package, layout, index) if index and not vmlinux else None
    if known is not None:
        return known
    modules: dict[str, str] = {}
    allowance = Allowance()
    try:
        with (
            making_index(index, package) as maker,
            open_payload(package, stop, allowance, maker, gently=True) as archive,
        ):
            for entry, path in safe_files(archive, allowance):
                found = _build_ids(archive, entry, layout, path, allowance, vmlinux=vmlinux)
                modules |= found
                if maker is not None:
                    maker.member(path, entry.position, next(iter(found), None))
            if maker is not None:
                maker.finish()
    except Stopped:
        return None
    if index is not None and maker is not None and maker.complete:
        keep_index(index)
    return modules


def _indexed(package: ByteSource, layout: Layout, index: Path) -> dict[str, str] | None:
    """What an index knows of a package that has come whole."""
    with open_index(index, package) as left:
        if left is None:
            return None
        modules = {}
        for listed in left.index.members:
            member = find_member(layout, listed.path.decode("utf-8", "surrogateescape"))
            if listed.build_id and member and member.kind is MemberKind.MODULE:
                modules[listed.build_id] = member.name
        return modules


def _build_ids(
    archive: Archive,
    entry: Entry,
    layout: Layout,
    path: str,
    allowance: Allowance,
    *,
    vmlinux: bool,
) -> dict[str, str]:
    """The build IDs of the current member that are of interest, and the name of its module."""
    member = find_member(layout, path)
    if member is not None and member.kind is MemberKind.MODULE:
        build_id = noted_build_id(member, archive, entry, allowance)
        return {build_id: member.name} if build_id else {}
    if member is not None and member.kind is MemberKind.VMLINUX and vmlinux:
        with content_of(member, archive, entry, allowance) as blocks:
            return dict.fromkeys(all_notes(blocks), "")
    return {}
