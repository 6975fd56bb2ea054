"""What the header of an .rpm tells of its files: their digests, and, because rpm packs them in the
header's order, where each begins in the cpio archive.

A place is a claim: who finds no such file there has to read the archive through.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping, Sequence

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.members import safe_path
from kernsym.server.unpack.packages.rpm_header import read_header

# https://rpm-software-management.github.io/rpm/manual/tags.html, some by rpmfile's names
_NAMES, _FOLDERS, _FOLDER_OF = "basenames", "dirnames", "dirindexes"
_SIZES, _MODES, _FLAGS = "filesizes", "filemodes", "fileflags"
_DEVICES, _INODES = "filedevices", "fileinodes"
_DIGESTS, _ALGORITHM = "filemd5s", "filedigestalgo"  # MD5 alone in old ones
_HASHES = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}  # as OpenPGP counts them
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
    places: dict[str, int] = {}
    position = 0
    for at, has_content in _order(tags, modes):
        if not 0 <= folder_of[at] < len(folders):
            return None
        path = folders[folder_of[at]] + names[at]
        size = sizes[at] if has_content else 0
        if size and stat.S_ISREG(modes[at]):
            places[_inside(path)] = position
        position = _after(position + _CPIO_HEADER, len(b"." + path) + 1)
        position = _after(position, size)
    return places


def _order(tags: Mapping[str | int, object], modes: Sequence[int]) -> Iterator[tuple[int, bool]]:
    """The files as they are packed, by their numbers in the header, and whether each has content:
    hard links come behind all others, those of one file together, of which the last has it."""
    flags = _numbers(tags, _FLAGS)
    linked: dict[tuple[int, int], list[int]] = {}
    inodes = list(zip(_numbers(tags, _DEVICES), _numbers(tags, _INODES), strict=False))
    packed = [at for at in range(len(modes)) if at >= len(flags) or not flags[at] & _GHOST]
    for at in packed:
        if at < len(inodes) and stat.S_ISREG(modes[at]):
            linked.setdefault(inodes[at], []).append(at)
    several = [links for links in linked.values() if len(links) > 1]
    behind = {at for links in several for at in links}
    for at in packed:
        if at not in behind:
            yield at, stat.S_ISREG(modes[at]) or stat.S_ISLNK(modes[at])
    for links in several:
        yield from ((at, at == links[-1]) for at in links)


def file_digests(package: ByteSource) -> dict[str, tuple[str, str]]:
    """The digests of the files, in hex, each with hashlib's name of the algorithm; empty where the
    header does not tell.  Raises as `member_places`."""
    tags = read_header(package).tags
    names, folders = _texts(tags, _NAMES), _texts(tags, _FOLDERS)
    folder_of, digests = _numbers(tags, _FOLDER_OF), _texts(tags, _DIGESTS)
    name_of_hash = _HASHES.get(next(iter(_numbers(tags, _ALGORITHM)), 1))
    if name_of_hash is None:
        return {}
    return {
        _inside(folders[folder] + name): (name_of_hash, digest.decode("ascii", "replace"))
        for name, folder, digest in zip(names, folder_of, digests, strict=False)
        if digest and 0 <= folder < len(folders)
    }


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
