"""The XML of rpm-md repositories, as createrepo writes it: repomd.xml, and the long lists."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import xml.etree.ElementTree as ElementTree
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, cast

from kernsym.distros.core.distro import Fetch
from kernsym.distros.formats.apt import FormatError

COMMON = "{http://linux.duke.edu/metadata/common}"
FILELISTS = "{http://linux.duke.edu/metadata/filelists}"
RPM = "{http://linux.duke.edu/metadata/rpm}"
_REPO = "{http://linux.duke.edu/metadata/repo}"
_BASE = "{http://www.w3.org/XML/1998/namespace}base"

_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# What reads the content of files that begin so: servers rename files, and recompress them.
_MAGIC: tuple[tuple[bytes, Callable[[IO[bytes]], Any]], ...] = (
    (b"\x1f\x8b", gzip.open),
    (b"\xfd7zXZ", lzma.open),
    (b"BZh", bz2.open),
)
_LONGEST_MAGIC = 6
_PIECE = 1 << 16
_MOST_OF_REPOMD = 8 << 20
_MOST_OF_AN_ENTRY = 64 << 20  # bytes; the file names of the largest packages have 20 MB
_MOST_OF_A_LIST = 8 << 30

# `sha` is what old createrepo calls SHA-1.  Their lengths in hex digits.
_ALGORITHMS = {"sha": "sha1"}
_LENGTHS = {"sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_HEX = re.compile(r"[0-9a-f]+\Z")

_Events = Iterator[tuple[str, ElementTree.Element]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list as repomd.xml names it.

    `path` is relative to `base`, or to the repository where that is None.  `digest` of the packed
    file, as `sha256:HEX`.
    """

    path: str
    base: str | None
    digest: str


def parse_repomd(body: bytes) -> dict[str, Listing]:
    """The lists of a repository by kind (`primary`, `filelists`).  Raises `FormatError`."""
    if len(body) > _MOST_OF_REPOMD:
        raise FormatError(f"repomd.xml has more than {_MOST_OF_REPOMD >> 20} MiB")
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"repomd.xml is not XML: {error}") from error
    if root.tag != f"{_REPO}repomd":
        raise FormatError("it is not a repomd.xml")
    found = {}
    for data in root.iterfind(f"{_REPO}data"):
        place = data.find(f"{_REPO}location")
        if place is not None:
            found[data.get("type", "")] = Listing(
                path=place.get("href", ""),
                base=place.get(_BASE),
                digest=parse_checksum(data.find(f"{_REPO}checksum")),
            )
    return found


def parse_checksum(element: ElementTree.Element | None) -> str:
    """A `<checksum>` as `sha256:HEX`.  Raises `FormatError`, also for what is too weak (MD5)."""
    if element is None:
        raise FormatError("an entry has no checksum")
    kind = element.get("type", "").lower()
    algorithm = _ALGORITHMS.get(kind, kind)
    value = (element.text or "").strip().lower()
    if _LENGTHS.get(algorithm) != len(value) or not _HEX.match(value):
        raise FormatError(f"an entry's checksum makes no sense: {kind[:20]} {value[:140]}")
    return f"{algorithm}:{value}"


def unpacked(packed: IO[bytes], path: str, fetch: Fetch) -> Iterator[bytes]:
    """The content of a list in pieces, by its first bytes; the file is closed at the end.

    Raises `FormatError` as it is read.
    """
    with packed:
        magic = packed.read(_LONGEST_MAGIC)
        packed.seek(-len(magic), io.SEEK_CUR)
        try:
            if magic.startswith(_ZSTD_MAGIC):
                yield from fetch.zstd(packed)
                return
            opener = next((opener for start, opener in _MAGIC if magic.startswith(start)), None)
            content = opener(packed) if opener else packed
            while piece := content.read(_PIECE):
                yield piece
        except (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error) as error:
            raise FormatError(f"{path} does not decompress: {error}") from error


def elements(pieces: Iterator[bytes], tag: str) -> Iterator[ElementTree.Element]:
    """The elements of one tag below the root; each is gone when the next is asked for.

    Raises `FormatError` for what is not XML, or would fill the memory.
    """
    parser: ElementTree.XMLPullParser[ElementTree.Element] = ElementTree.XMLPullParser(
        ("start", "end")
    )
    root: ElementTree.Element | None = None
    size = since = 0
    try:
        for piece in pieces:
            size, since = size + len(piece), since + len(piece)
            if since > _MOST_OF_AN_ENTRY or size > _MOST_OF_A_LIST:
                raise FormatError("it is larger than any list")
            parser.feed(piece)
            for event, element in cast(_Events, parser.read_events()):
                if root is None:
                    root = element
                elif event == "end" and element.tag == tag:
                    yield element
                    root.clear()
                    since = 0
        parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise FormatError(f"it is not XML: {error}") from error


def joined(base: str, path: str) -> str:
    """The address of a file in a repository; a query of the base (a token) is kept.

    >>> joined("https://updates.example/SLE/?token", "repodata/repomd.xml")
    'https://updates.example/SLE/repodata/repomd.xml?token'
    """
    folder, mark, query = base.partition("?")
    if "://" in path:
        raise FormatError(f"a location is not relative: {path[:200]}")
    if folder.startswith("http"):
        path = path.replace("+", "%2B")  # stores of the S3 kind read a bare + as a blank
    return f"{folder.rstrip('/')}/{path.removeprefix('/')}{mark}{query}"
