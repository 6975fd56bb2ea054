"""Which members may be written, and where: pure."""

from __future__ import annotations

from collections.abc import Iterator

from kernsym.distros import MemberKind
from kernsym.server.unpack.allowance import Allowance, unsafe
from kernsym.server.unpack.archive import Archive, Entry, EntryType

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


def safe_files(archive: Archive, allowance: Allowance) -> Iterator[tuple[Entry, str]]:
    """The ordinary files of an archive, each with its path; folders and links are passed over.

    Raises `Refused` (`package-unsafe`) at the first member that no kernel package has, also at a
    file that comes twice: which one would count is a matter of taste.
    """
    seen: set[str] = set()
    for entry in archive.entries():
        path = safe_path(entry.path)
        allowance.member(entry)
        if entry.type is EntryType.FILE and path:
            if path in seen:
                raise unsafe(f"it holds {path!r} twice")
            seen.add(path)
            yield entry, path
