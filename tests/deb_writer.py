"""Writes small .deb packages: deb(5) with the members and the compression given."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import tarfile
from collections.abc import Callable, Iterable, Mapping

import zstandard

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}

Member = tuple[str, bytes] | tarfile.TarInfo


def deb(
    members: Iterable[Member],
    suffix: str = ".xz",
    *,
    pack: Callable[[bytes], bytes] | None = None,
    listed: Iterable[str] = (),
) -> bytes:
    """A package whose payload holds `members`: (path, content), or a TarInfo without content.

    `pack` compresses otherwise than usual for the suffix; `listed` are the paths in `md5sums`, with
    zeros where the contents are not given.
    """
    control: list[Member] = [("./control", b"Package: linux-image-dbg\n")]
    contents = listed if isinstance(listed, Mapping) else {}
    digests = {
        path: hashlib.md5(contents[path]).hexdigest() if path in contents else f"{0:032x}"
        for path in listed
    }
    if lines := "".join(f"{digest}  {path}\n" for path, digest in digests.items()):
        control.append(("./md5sums", lines.encode()))
    pack = pack or COMPRESSIONS[suffix]
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", gzip.compress(tar(control))),
            (f"data.tar{suffix}", pack(tar(members))),
        ]
    )


def ar(members: Iterable[tuple[str, bytes]]) -> bytes:
    """An ar archive in the common format."""
    archive = b"!<arch>\n"
    for name, content in members:
        header = f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n"
        archive += header.encode() + content + b"\n" * (len(content) % 2)
    return archive


def tar(members: Iterable[Member]) -> bytes:
    """A tar archive; members as for `deb`."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
                continue
            path, content = member
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue()


def link(path: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    """A link, or a device with `kind`."""
    info = tarfile.TarInfo(path)
    info.type, info.linkname = kind, target
    return info
