"""Where the payload lies in an .rpm: a compressed cpio archive from the headers to the end."""

from __future__ import annotations

from kernsym.distros import Refused
from kernsym.server.mirrors.growing import ByteSource
from kernsym.server.unpack.packages.rpm_header import read_header
from kernsym.server.unpack.packed import Payload

_COMPRESSOR = "archive_compression"  # rpmfile's name of PAYLOADCOMPRESSOR
_FILTERS = {b"gzip": "gzip", b"bzip2": "bzip2", b"xz": "xz", b"lzma": "lzma", b"zstd": "zstd"}
_GZIP_MAGIC = b"\x1f\x8b"
_LONG_FILE_SIZES = 5008  # LONGFILESIZES; with it the archive has no names and no sizes


def find_payload(package: ByteSource) -> Payload:
    """The payload of an .rpm.  Raises `Refused` (`package-corrupt`, `package-unsupported`)."""
    header = read_header(package)
    if _LONG_FILE_SIZES in header.tags or "longfilesizes" in header.tags:
        raise _unsupported("its cpio archive is of the stripped kind, for files of 4 GB and more")
    if header.tags.get("archive_format", b"cpio") != b"cpio":
        raise _unsupported("its payload is not a cpio archive")
    compressor = header.tags.get(_COMPRESSOR)
    if compressor is None:
        # Not compressed, or so old that nothing but gzip was known.
        is_gzip = package.read_at(header.end, len(_GZIP_MAGIC)) == _GZIP_MAGIC
        name: str | None = "gzip" if is_gzip else "none"
    else:
        name = _FILTERS.get(compressor) if isinstance(compressor, bytes) else None
    if name is None:
        raise _unsupported(f"it is compressed by {compressor!r}")
    return Payload(offset=header.end, size=None, format="cpio", filter=name)


def _unsupported(what: str) -> Refused:
    return Refused(
        "package-unsupported",
        f"the package cannot be unpacked: {what}",
        hint="unpack it with rpm2archive, of rpm itself",
    )
