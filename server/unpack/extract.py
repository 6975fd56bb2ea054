"""vmlinux, System.map and the wanted modules out of a package: in one pass, or picked out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kernsym.distros import Layout, MemberKind
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.allowance import Allowance
from kernsym.server.unpack.member_file import (
    Destination,
    ExtractedFile,
    OnBegin,
    find_member,
    nobody,
    write_member,
)
from kernsym.server.unpack.members import safe_files
from kernsym.server.unpack.payload import Stopped, open_payload
from kernsym.server.unpack.pick import pick

Wanted = Callable[[MemberKind, str, str], bool]


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
    stop: Callable[[], bool] = lambda: False,
    on_begin: OnBegin = nobody,
) -> Pass:
    """Writes the members that `wanted(kind, name, path)` agrees to, each beside and then renamed.

    `wanted` is asked when the member comes by and may block; `on_file` hears of a file as soon as
    it is whole, `on_begin` when it begins.  `stop` ends the pass early, also inside a member.
    Where the package allows it only what is wanted is unpacked, vmlinux before the modules.
    Links are passed over: what they lead to is a member too, and a layout names all its places.
    Of a set of hard links, the name that carries the content counts.
    The package's digest is not known yet: publish nothing before it is.

    Raises `Refused` (`package-corrupt`, `package-unsafe`, `package-kind-unknown`), `Unusable`
    (`disk-full`), and what kept the package from coming.
    """
    modules: set[str] = set()
    allowance = Allowance()
    target = Destination(folder=into, on_begin=on_begin)
    try:
        listed = pick(package, layout, wanted, target, on_file, stop)
        if listed is not None:
            return Pass(complete=True, modules=listed)
        with open_payload(package, stop, allowance) as archive:
            for entry, path in safe_files(archive, allowance):
                member = find_member(layout, path)
                if member is None:
                    continue
                if member.kind is MemberKind.MODULE:
                    modules.add(member.name)
                if wanted(member.kind, member.name, member.path):
                    on_file(write_member(member, archive, entry, target, allowance))
                if stop():
                    raise Stopped
    except Stopped:
        return Pass(complete=False, modules=frozenset(modules))
    return Pass(complete=True, modules=frozenset(modules))
