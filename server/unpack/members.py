"""Which members may be written, where, and how many bytes of them: pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kernsym.distros import MemberKind, Refused
from kernsym.server.unpack.archive import Archive, Entry, EntryType

MOST_BYTES_OF_A_MEMBER = 8 << 30  # the largest known vmlinux has 1.1 GB
MOST_BYTES_OF_A_PACKAGE = 64 << 30  # the largest known package has 9 GB unpacked
_HEADER_BYTES = 512  # what a member costs at least, so that empty ones count too

# libarchive's names for what members are compressed with.
_FILTERS = {".xz": "xz", ".zst": "zstd", ".gz": "gzip"}
_PACKED_KINDS = (MemberKind.MODULE, MemberKind.STRIPPED)


def safe_path(path: str) -> str:
    """The member's path without `./`.  Raises `Refused` (`package-unsafe`) if it leads outside.

    >>> safe_path("./usr/lib/debug/")
    'usr/lib/debug'
    """
    words = [word for word in path.split("/") if word not in ("", ".")]
    if path.startswith("/") or ".." in words or "\0" in path:
        raise unsafe(f"the member {path!r} leads out of its folder")
    return "/".join(words)


def inner_packing(kind: MemberKind, path: str) -> tuple[str, str | None]:
    """The path under which a member is kept, and libarchive's name of its own compression.

    >>> inner_packing(MemberKind.MODULE, "kernel/fs/ext4.ko.xz")
    ('kernel/fs/ext4.ko', 'xz')
    """
    for suffix, filter_name in _FILTERS.items():
        if kind in _PACKED_KINDS and path.endswith(suffix):
            return path.removesuffix(suffix), filter_name
    return path, None


class Allowance:
    """Counts what a package unpacks to, and refuses what no kernel package needs."""

    def __init__(self) -> None:
        self._left = MOST_BYTES_OF_A_PACKAGE

    def member(self, entry: Entry) -> None:
        """Raises `Refused` (`package-unsafe`) for a member that is absurdly large or odd."""
        if entry.type is EntryType.SPECIAL:
            raise unsafe(f"the member {entry.path!r} is neither file, folder nor link")
        if not 0 <= entry.size <= MOST_BYTES_OF_A_MEMBER:
            raise unsafe(f"the member {entry.path!r} claims {entry.size} bytes")
        self._take(_HEADER_BYTES + entry.size)

    def counted(self, blocks: Iterable[memoryview], path: str) -> Iterator[memoryview]:
        """`blocks` of a member that is packed once more, so that its header tells no size."""
        size = 0
        for block in blocks:
            size += len(block)
            if size > MOST_BYTES_OF_A_MEMBER:
                raise unsafe(f"the member {path!r} unpacks to more than {size} bytes")
            self._take(len(block))
            yield block

    def _take(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise unsafe(f"it unpacks to more than {MOST_BYTES_OF_A_PACKAGE} bytes")


def safe_files(archive: Archive, allowance: Allowance) -> Iterator[tuple[Entry, str]]:
    """The ordinary files of an archive, each with its path; folders and links are passed over.

    Raises `Refused` (`package-unsafe`) at the first member that no kernel package has.
    """
    for entry in archive.entries():
        path = safe_path(entry.path)
        allowance.member(entry)
        if entry.type is EntryType.FILE and path:
            yield entry, path


def unsafe(what: str) -> Refused:
    """The error for a package that would do harm."""
    return Refused("package-unsafe", f"the package is not unpacked: {what}")
