"""Where the files of an .rpm begin in its cpio archive, as its header tells their names and sizes.

rpm packs them in the header's order.  It is a claim: who finds no such file at its place has to
read the archive through.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.members import safe_path
from kernsym.server.unpack.rpm_header import read_header

# https://rpm-software-management.github.io/rpm/manual/tags.html, some by rpmfile's names
_NAMES, _FOLDERS, _FOLDER_OF = "basenames", "dirnames", "dirindexes"
_SIZES, _MODES, _FLAGS = "filesizes", "filemodes", "fileflags"
_DEVICES, _INODES = "filedevices", "fileinodes"
_GHOST = 1 << 6  # of flags: not in the archive
_CPIO_HEADER = 110  # bytes of the `newc` format, before the name
_PADDING = 4


def member_places(package: ByteSource) -> dict[str, int] | None:
    """The positions of the files' headers in the archive, in bytes; None where the header does not
    tell.  Raises `Refused` (`package-corrupt`) for a header that makes no sense."""
    tags = read_header(package).tags
    names, folders = _texts(tags, _NAMES), _texts(tags, _FOLDERS)
    folder_of, sizes, modes = (_numbers(tags, tag) for tag in (_FOLDER_OF, _SIZES, _MODES))
    count = len(names)
    if not count or any(len(each) != count for each in (folder_of, sizes, modes)):
        return None
    flags = _numbers(tags, _FLAGS) or (0,) * count
    links = list(zip(_numbers(tags, _DEVICES), _numbers(tags, _INODES), strict=False))
    last = {inode: at for at, inode in enumerate(links)}  # of hard links it has the content
    places: dict[str, int] = {}
    position = 0
    for at, (name, folder, size, mode) in enumerate(
        zip(names, folder_of, sizes, modes, strict=True)
    ):
        if at < len(flags) and flags[at] & _GHOST:
            continue
        if not 0 <= folder < len(folders):
            return None
        path = folders[folder] + name
        is_file = stat.S_ISREG(mode)
        is_empty = not is_file and not stat.S_ISLNK(mode)
        if is_empty or (is_file and at < len(links) and last[links[at]] != at):
            size = 0
        if is_file and size:
            places[_inside(path)] = position
        position = _after(position + _CPIO_HEADER, len(b"." + path) + 1)
        position = _after(position, size)
    return places


def _after(position: int, size: int) -> int:
    end = position + size
    return end + -end % _PADDING


def _inside(path: bytes) -> str:
    try:
        return safe_path("." + path.decode("utf-8", "surrogateescape"))
    except Refused:
        return ""


def _texts(tags: Mapping[str | int, object], tag: str) -> tuple[bytes, ...]:
    found = tags.get(tag)
    if isinstance(found, bytes):
        return (found,)
    return tuple(found) if isinstance(found, list) else ()


def _numbers(tags: Mapping[str | int, object], tag: str) -> tuple[int, ...]:
    found = tags.get(tag)
    if isinstance(found, int):
        return (found,)
    return tuple(found) if isinstance(found, tuple) else ()
