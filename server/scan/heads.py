"""What a file says of itself: the header of a package, the sections of an ELF file; nothing is
unpacked."""

from __future__ import annotations

import email.parser
import hashlib
import os
import re
import struct
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from kernsym.cache.scanned_rows import CODE, DWARF, FileFacts
from kernsym.distros import KernsymError, normalise_module
from kernsym.server.binaries import elf_notes
from kernsym.server.binaries.linux_banner import banners_in
from kernsym.server.unpack.archive import open_archive
from kernsym.server.unpack.packages import deb, rpm_header

NOTHING = FileFacts()

_BUILD_ID = 3  # NT_GNU_BUILD_ID
_PROGBITS = 1
_MOST_CONSTANTS = 64 << 20  # bytes of .rodata; the largest known has 30 MB
_MOST_CONTROL = 16 << 20
_OF_KERNELS = ("kernel", "linux")  # how the packages of kernels are called everywhere
# Packages of several files with one build ID number them: `yyyy.1.debug`.
_LINK = re.compile(
    r"/usr/lib/debug/\.build-id/(?P<first>[0-9a-f]{2})/(?P<rest>(?:[0-9a-f]{2}){3,31})"
    r"(?:\.[0-9]+)?\.debug"
)
_TITLE = re.compile(r"[A-Za-z0-9._+~^:-]+")
_VMLINUX = re.compile(r"vmlinux(?:-[^/]*)?(?:\.debug)?")
_MODULE = re.compile(r"(?P<name>[^/]+)\.ko(?:\.debug)?")


def read_facts(path: Path) -> FileFacts:
    """What a file says of itself; `NOTHING` where it is neither a package nor ELF.

    Raises `Refused` (`package-corrupt`), `ValueError` for what is damaged otherwise, `OSError`.
    """
    with path.open("rb") as file:
        try:
            return _facts(file, path)
        except (struct.error, IndexError, KeyError, AttributeError) as error:
            raise ValueError(f"its headers are damaged: {error!r}") from error


def _facts(file: BufferedReader, path: Path) -> FileFacts:
    head = file.peek(len(deb.MAGIC))[: len(deb.MAGIC)]
    if head.startswith(rpm_header.MAGIC):
        return _of_rpm(_Package(file.fileno()))
    if head == deb.MAGIC:
        return _of_deb(_Package(file.fileno()), path.suffix)
    return _of_elf(file, path.name) if head.startswith(elf_notes.MAGIC) else NOTHING


class _Package:
    """A file as a `ByteSource`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def whole(self) -> int | None:
        return os.fstat(self._descriptor).st_size


def _of_rpm(package: _Package) -> FileFacts:
    header = rpm_header.read_header(package)
    tags = header.tags
    name, *edition = (_text(tags, tag) for tag in ("name", "version", "release", "arch"))
    title = "{}-{}-{}.{}.rpm".format(name, *edition)
    if "sourcerpm" not in tags or not _is_of_a_kernel(title):  # a source package has none
        return NOTHING
    return FileFacts(
        digest=_digest(package.read_at(header.start, header.end - header.start)),
        package=title,
        members=tuple(dict(_linked(tags)).items()),
    )


def _linked(tags: Mapping[str | int, object]) -> Iterator[tuple[str, str]]:
    """The build IDs of a package's debug files, with the names of modules."""
    folders, names, places, targets = (
        tags.get(tag) for tag in ("dirnames", "basenames", "dirindexes", "filelinktos")
    )
    if not (isinstance(folders, list) and isinstance(names, list)):
        return
    if not (isinstance(places, tuple) and isinstance(targets, list)):
        return
    for place, name, target in zip(places, names, targets, strict=True):
        link = _LINK.fullmatch((folders[place] + name).decode()) if target else None
        module = _module(target.decode()) if link else None
        if link is not None and module is not None:
            yield link["first"] + link["rest"], module


def _module(path: str) -> str | None:
    """The name of a module by its path, "" of vmlinux; None: another file."""
    name = path.rpartition("/")[2]
    if _VMLINUX.fullmatch(name):
        return ""
    found = _MODULE.fullmatch(name)
    return normalise_module(found["name"]) if found else None


def _text(tags: Mapping[str | int, object], tag: str) -> str:
    value = tags.get(tag)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else ""


def _of_deb(package: _Package, suffix: str) -> FileFacts:
    """A static library begins in the same way."""
    try:
        control = deb.find_control(package)
    except KernsymError:
        return NOTHING
    if control is None:
        return NOTHING
    packed = package.read_at(control.offset, min(control.size or 0, _MOST_CONTROL))
    fields = email.parser.HeaderParser().parsestr(_control(packed, control.filter))
    name, version, arch = (fields.get(key, "") for key in ("Package", "Version", "Architecture"))
    kind = ".ddeb" if suffix == ".ddeb" or name.endswith("-dbgsym") else ".deb"
    version = version.partition(":")[2] or version  # file names leave the epoch out
    title = f"{name}_{version}_{arch}{kind}"
    return FileFacts(digest=_digest(packed), package=title) if _is_of_a_kernel(title) else NOTHING


def _is_of_a_kernel(title: str) -> bool:
    return title.startswith(_OF_KERNELS) and _TITLE.fullmatch(title) is not None


def _control(packed: bytes, filter_name: str) -> str:
    with open_archive(iter((packed,)), format_name="tar", filter_name=filter_name) as archive:
        for entry in archive.entries():
            if entry.path.removeprefix("./") == "control" and entry.size <= _MOST_CONTROL:
                return b"".join(map(bytes, archive.blocks())).decode("utf-8", "replace")
    return ""


def _of_elf(file: BinaryIO, name: str) -> FileFacts:
    """Of a kernel's own file; others with a build ID are programs."""
    module = _module(name)
    if module is None:
        return NOTHING
    table = elf_notes.read_table(file)
    build_id = next(
        (
            content.hex()
            for owner, kind, content in elf_notes.notes_of(table, file)
            if owner == b"GNU" and kind == _BUILD_ID
        ),
        None,
    )
    banner, forms = "", 0
    for title, section in _named(table, file):
        if title in (".debug_info", ".zdebug_info"):
            forms |= DWARF
        elif title in (".text", ".init.text") and section.kind == _PROGBITS:
            forms |= CODE
        elif title == ".rodata" and not module and section.kind == _PROGBITS:
            file.seek(section.offset)
            banner = " or ".join(banners_in(file.read(min(section.size, _MOST_CONSTANTS))))
    said = f"{build_id} {banner} {len(table.sections)} {table.sections[-1:]}"
    return FileFacts(
        digest=_digest(said.encode()),
        banner=banner,
        members=((build_id, module),) if build_id else (),
        forms=forms,
    )


def _named(table: elf_notes.Table, file: BinaryIO) -> Iterator[tuple[str, elf_notes.Section]]:
    names = table.sections[table.names]
    file.seek(names.offset)
    text = file.read(min(names.size, 1 << 20))
    for section in table.sections:
        end = text.find(b"\0", section.name)
        yield text[section.name : end].decode("utf-8", "replace"), section


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]
