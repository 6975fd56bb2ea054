"""Release files and Packages lists of an apt repository (https://wiki.debian.org/DebianRepository).

Bytes in, values out.  Packages lists run to 50 MB of text, so one stanza is cut out of the
decompressed stream and the rest is never turned into objects.
"""

from __future__ import annotations

import bz2
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

_PIECE = 1 << 18
_DIGEST = re.compile(r"[0-9a-f]{64}\Z")
_LONGEST_STANZA = 1 << 20


class FormatError(ValueError):
    """The bytes are not what they should be; the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What a suite's Release file says.

    `files`: path below the suite -> (SHA-256 in hex, size in bytes).
    """

    suite: str
    codename: str
    architectures: tuple[str, ...]
    by_hash: bool
    files: dict[str, tuple[str, int]] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stanza:
    """One package of a Packages list.  `path` is relative to the repository's base."""

    package: str
    version: str
    architecture: str
    path: str
    size: int
    sha256: str | None
    sha1: str | None


def parse_release(body: bytes) -> Release:
    """A Release file (the signed part of an InRelease).  Raises `FormatError`."""
    fields = parse_fields(body.decode("utf-8", "replace"))
    listed = fields.get("sha256")
    files = {}
    for line in (listed or "").splitlines():
        words = line.split()
        if len(words) == 3 and _DIGEST.match(words[0]) and words[1].isdecimal():
            files[words[2]] = (words[0], int(words[1]))
    if listed is None or (listed and not files):
        raise FormatError("it lists no files with SHA-256 digests")
    return Release(
        suite=fields.get("suite", ""),
        codename=fields.get("codename", ""),
        architectures=tuple(fields.get("architectures", "").split()),
        by_hash=fields.get("acquire-by-hash", "").lower() == "yes",
        files=files,
    )


def parse_fields(text: str) -> dict[str, str]:
    """The fields of one RFC 822 stanza, names in lower case, continuation lines joined by \\n.

    >>> parse_fields("Suites: a\\n b\\nTypes: deb")
    {'suites': 'a\\nb', 'types': 'deb'}
    """
    fields: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] = f"{fields[name]}\n{line.strip()}".lstrip("\n")
        elif ":" in line:
            name, value = line.split(":", 1)
            name = name.strip().lower()
            fields[name] = value.strip()
    return fields


def find_stanza(
    listing: bytes, name: str, *, package: str, version: str, architecture: str
) -> Stanza | None:
    """One package in a Packages list that was fetched as file `name`; None when it is not there.

    `architecture` "*" takes the first one.  Raises `FormatError` when the list does not decompress
    or the stanza lacks what it must have.
    """
    for raw in _stanzas_of(decompressed(listing, name), package):
        fields = parse_fields(raw.decode("utf-8", "replace"))
        if fields.get("version") == version and architecture in ("*", fields.get("architecture")):
            return _stanza(fields)
    return None


def find_stanzas(listing: bytes, name: str, *, beginning: str) -> Iterator[Stanza]:
    """The packages of a list whose names begin so; errors as of `find_stanza`."""
    for raw in _stanzas(decompressed(listing, name), f"\nPackage: {beginning}".encode()):
        yield _stanza(parse_fields(raw.decode("utf-8", "replace")))


def find_source(listing: bytes, name: str, *, package: str, version: str) -> dict[str, str] | None:
    """The fields of one source package in a Sources list that was fetched as file `name`; None
    when it is not there.  Raises `FormatError` when the list does not decompress."""
    for raw in _stanzas_of(decompressed(listing, name), package):
        fields = parse_fields(raw.decode("utf-8", "replace"))
        if fields.get("version") == version:
            return fields
    return None


def _stanza(fields: dict[str, str]) -> Stanza:
    size = fields.get("size", "")
    if "version" not in fields:
        raise FormatError(f"the entry of {fields['package']} has no Version")
    if "filename" not in fields or not size.isdecimal():
        raise FormatError(f"the entry of {fields['package']} has no Filename or no Size")
    return Stanza(
        package=fields["package"],
        version=fields["version"],
        architecture=fields.get("architecture", ""),
        path=fields["filename"],
        size=int(size),
        sha256=fields.get("sha256"),
        sha1=fields.get("sha1"),
    )


def _stanzas_of(pieces: Iterator[bytes], package: str) -> Iterator[bytes]:
    """The raw stanzas of a package, out of pieces of a Packages list."""
    return _stanzas(pieces, f"\nPackage: {package}\n".encode())


def _stanzas(pieces: Iterator[bytes], head: bytes) -> Iterator[bytes]:
    """The raw stanzas that begin with `head`, of which the first line feed is none of theirs."""
    kept = b"\n"
    for piece in pieces:
        kept += piece
        start = kept.find(head)
        while start >= 0:
            end = kept.find(b"\n\n", start + 1)
            if end < 0:
                break
            yield kept[start + 1 : end]
            kept = kept[end + 1 :]
            start = kept.find(head)
        # What may still become a match stays; a stanza without an end is not kept for ever.
        kept = kept[start:] if start >= 0 else kept[-len(head) :]
        if len(kept) > _LONGEST_STANZA + _PIECE:
            raise FormatError(f"the entry of {head.decode()[10:].strip()} does not end")
    if kept.startswith(head):
        yield kept[1:]


def decompressed(data: bytes, name: str) -> Iterator[bytes]:
    """The content of a file in pieces of bounded size, by the suffix of its name (xz, gz, bz2)."""
    suffix = name.rsplit(".", 1)[-1] if "." in name else ""
    try:
        if suffix == "gz":
            yield from _inflate(data)
        elif suffix in ("xz", "bz2"):
            yield from _decode(data, suffix)
        else:
            for start in range(0, len(data), _PIECE):
                yield data[start : start + _PIECE]
    except (lzma.LZMAError, zlib.error, OSError, EOFError, ValueError) as error:
        raise FormatError(f"{name} does not decompress: {error}") from error


def _decode(data: bytes, suffix: str) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ) if suffix == "xz" else bz2.BZ2Decompressor()
    piece = decoder.decompress(data, _PIECE)
    while piece or not decoder.eof:
        if not piece and decoder.needs_input:
            raise EOFError("it is cut off")
        yield piece
        piece = decoder.decompress(b"", _PIECE) if not decoder.eof else b""


def _inflate(data: bytes) -> Iterator[bytes]:
    decoder = zlib.decompressobj(wbits=31)
    rest = data
    while not decoder.eof:
        piece = decoder.decompress(rest, _PIECE)
        if not piece and not decoder.unconsumed_tail and not decoder.eof:
            raise EOFError("it is cut off")
        rest = decoder.unconsumed_tail
        yield piece
