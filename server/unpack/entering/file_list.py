"""The list of its files that a .deb carries: `md5sums`, before the files themselves."""

from __future__ import annotations

from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.archive import open_archive
from kernsym.server.unpack.packages import deb

_NAME = "./md5sums"
_MOST_BYTES = 16 << 20  # the longest known has 0.5 MB
_DIGEST = 32


def listed_files(package: ByteSource) -> dict[str, str]:
    """The MD5 of the package's files by their paths, links left out; empty when it is no .deb or
    has no list.

    dh_md5sums writes it when the package is built, of every file but configuration.
    """
    is_deb = package.read_at(0, len(deb.MAGIC)) == deb.MAGIC
    control = deb.find_control(package) if is_deb else None
    if control is None:
        return {}
    packed = package.read_at(control.offset, min(control.size or 0, _MOST_BYTES))
    with open_archive(iter((packed,)), format_name="tar", filter_name=control.filter) as archive:
        for entry in archive.entries():
            if entry.path == _NAME and entry.size <= _MOST_BYTES:
                return _files(b"".join(bytes(block) for block in archive.blocks()))
    return {}


def _files(listing: bytes) -> dict[str, str]:
    """Lines are a digest, two blanks, and a path without `./`."""
    lines = listing.decode("utf-8", "surrogateescape").splitlines()
    return {line[_DIGEST + 2 :]: line[:_DIGEST] for line in lines if line[_DIGEST:][:2] == "  "}
