"""Files of scanned folders that can be given as they lie there."""

from __future__ import annotations

from kernsym.cache import LooseFile
from kernsym.cache.scanned import Scanned
from kernsym.cache.scanned_rows import CODE, DWARF
from kernsym.distros import Refused
from kernsym.server.binaries import elf

_FORMS = {"debuginfo": DWARF, "executable": CODE}


def loose_file(scanned: Scanned, build_id: str, artefact: str) -> LooseFile | None:
    """The kernel or module outside of packages that is the `debuginfo` or the `executable` of a
    build ID, which it still has at this moment."""
    forms = _FORMS.get(artefact)
    found = scanned.find(build_id, forms=forms) if forms else None
    if found is None or found.package:
        return None
    try:
        if elf.build_id(found.path) != build_id:
            return None
    except (Refused, OSError):
        return None
    return LooseFile(
        build_id=build_id,
        path=found.path,
        name=found.path.name,
        archive="",
        origin=str(found.path.parent),
    )
