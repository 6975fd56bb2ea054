"""The bodies of files that stand in no manifest: another server gave them, or they are not yet
published."""

from __future__ import annotations

from urllib.parse import quote

from kernsym.cache import LooseFile
from kernsym.distros import KernsymError
from kernsym.server.binaries.sections import read_sections
from kernsym.server.served import Body
from kernsym.server.served.body import make_body

_UNCHECKED = "private, max-age=600"  # whoever is asked the next time may say something else


def loose_body(file: LooseFile, artefact: str, cache_control: str) -> Body:
    """The body of a file for `debuginfo`, `executable` or `source PATH`, or of its section for
    `section NAME`.

    Raises `KernsymError` (`section-missing`), `Refused` (`elf-unreadable`), `OSError`.
    """
    state = file.path.stat()
    kind, _, name = artefact.partition(" ")
    place = 0, state.st_size
    if kind == "section":
        found = read_sections(file.path).places.get(name)
        if found is None:
            raise KernsymError("section-missing", f"{file.path.name} has no section {name}")
        place = found
    content = file.sha256[:16] or f"{state.st_mtime_ns:x}-{state.st_size:x}"
    return make_body(
        file.path,
        *place,
        kernel="",
        etag=f"{file.build_id}-{quote(artefact, safe='')}-{content}",
        modified=state.st_mtime,
        cache_control=cache_control if file.checked else _UNCHECKED,
        name=file.name,
        archive=file.archive,
    )
