"""Writes small .rpm packages: a lead, two headers, and a compressed cpio archive."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import posixpath
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import zstandard

COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zstd": zstandard.ZstdCompressor().compress,
}
_INT32, _STRING, _BIN, _STRINGS = 4, 6, 7, 8
Value = int | str | bytes | list[str] | tuple[int, ...]

NAME, ARCH, COMPRESSOR, PAYLOAD_DIGEST, LONG_FILE_SIZES = 1000, 1022, 1125, 5092, 5008
FILE_SIZES, FILE_MODES, FILE_DIGESTS, FILE_FLAGS = 1028, 1030, 1035, 1037
FILE_DEVICES, FILE_INODES, FOLDER_OF, BASENAMES, FOLDERS = 1095, 1096, 1116, 1117, 1118
DIGEST_ALGORITHM = 5011
DSA_HEADER, RSA_HEADER, SHA1_HEADER, SHA256_HEADER = 267, 268, 269, 273
RSA_ALL, DSA_ALL = 1002, 1005


@dataclass(frozen=True, slots=True, kw_only=True)
class CpioFile:
    """A member; `inode` and `links` for hard links, of which the last has the content."""

    path: str
    content: bytes = b""
    mode: int = 0o100644
    inode: int = 0
    links: int = 1


def rpm(
    members: Iterable[tuple[str, bytes] | CpioFile],
    compressor: str = "xz",
    *,
    tags: dict[int, Value] | None = None,
    sign: Callable[[bytes], dict[int, Value]] = lambda header: {},
    sign_all: Callable[[bytes], dict[int, Value]] = lambda header_and_payload: {},
    payload_digest: bool = True,
    pack: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """A package with the files given.  `tags` are added to the main header; `sign` makes the tags
    of the signature header from the main one's bytes, `sign_all` from these and the payload's;
    `pack` compresses otherwise than usual."""
    payload = (pack or COMPRESSIONS[compressor])(cpio(members))
    main: dict[int, Value] = {NAME: "kernel-debuginfo", ARCH: "x86_64"}
    if compressor:
        main[COMPRESSOR] = compressor
    if payload_digest:
        main[PAYLOAD_DIGEST] = [hashlib.sha256(payload).hexdigest()]
    header = _header(main | (tags or {}))
    digests: dict[int, Value] = {
        SHA1_HEADER: hashlib.sha1(header).hexdigest(),
        SHA256_HEADER: hashlib.sha256(header).hexdigest(),
    }
    signatures = _header(digests | sign(header) | sign_all(header + payload))
    lead = struct.pack(">4sBBhh66shh16x", b"\xed\xab\xee\xdb", 3, 0, 0, 1, b"kernel", 1, 5)
    return lead + signatures + b"\0" * (-len(signatures) % 8) + header + payload


def file_tags(members: Iterable[tuple[str, bytes] | CpioFile]) -> dict[int, Value]:
    """What a header tells of the files: names, sizes, modes, inodes, SHA-256 digests."""
    files = [
        each if isinstance(each, CpioFile) else CpioFile(path=each[0], content=each[1])
        for each in members
    ]
    folders = sorted({posixpath.dirname(file.path.removeprefix(".")) + "/" for file in files})
    of = (folders.index(posixpath.dirname(file.path.removeprefix(".")) + "/") for file in files)
    contents = {file.inode: file.content for file in files if file.inode}  # the last has it
    return {
        FILE_SIZES: tuple(len(contents.get(file.inode, file.content)) for file in files),
        FILE_MODES: tuple(file.mode for file in files),
        FILE_DIGESTS: [
            hashlib.sha256(contents.get(file.inode, file.content)).hexdigest() for file in files
        ],
        FILE_INODES: tuple(file.inode or number for number, file in enumerate(files, 1)),
        FILE_DEVICES: (1,) * len(files),
        FOLDER_OF: tuple(of),
        BASENAMES: [posixpath.basename(file.path) for file in files],
        FOLDERS: folders,
        DIGEST_ALGORITHM: 8,
    }


def _header(tags: dict[int, Value]) -> bytes:
    index, store = b"", b""
    for tag, value in sorted(tags.items()):
        kind, count, data = _packed(value)
        if kind == _INT32:
            store += b"\0" * (-len(store) % 4)
        index += struct.pack(">iiii", tag, kind, len(store), count)
        store += data
    return b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">ii", len(tags), len(store)) + index + store


def _packed(value: Value) -> tuple[int, int, bytes]:
    if isinstance(value, int):
        return _INT32, 1, struct.pack(">I", value)
    if isinstance(value, tuple):
        return _INT32, len(value), struct.pack(f">{len(value)}I", *value)
    if isinstance(value, bytes):
        return _BIN, len(value), value
    if isinstance(value, str):
        return _STRING, 1, value.encode() + b"\0"
    return _STRINGS, len(value), b"".join(text.encode() + b"\0" for text in value)


def cpio(members: Iterable[tuple[str, bytes] | CpioFile]) -> bytes:
    """A cpio archive in the `newc` format."""
    archive = b""
    for number, member in enumerate(members, 1):
        if isinstance(member, tuple):
            member = CpioFile(path=member[0], content=member[1])
        archive += _entry(member, member.inode or number)
    return archive + _entry(CpioFile(path="TRAILER!!!", mode=0), 0)


def _entry(member: CpioFile, inode: int) -> bytes:
    name = member.path.encode() + b"\0"
    size = len(member.content)
    fields = (inode, member.mode, 0, 0, member.links, 1, size, 8, 1, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    head += b"\0" * (-len(head) % 4)
    return head + member.content + b"\0" * (-size % 4)
