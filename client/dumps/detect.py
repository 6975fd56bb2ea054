"""Finds the reader that fits a file, unwrapping until one does."""

from __future__ import annotations

from pathlib import Path

from kernsym.client.dumps import elf, flattened, kdump, vmware
from kernsym.client.dumps.content import Content, FileContent
from kernsym.client.dumps.foreign import LOOKED_AT, refuse_foreign
from kernsym.client.dumps.raw import read_raw
from kernsym.client.dumps.reader import DumpReader
from kernsym.distros import Unusable


def open_dump(path: Path) -> DumpReader:
    """The reader of the dump at `path`; what fits no format is taken for raw memory.

    Raises `Unusable`: `dump-not-found`, `dump-unreadable`, `dump-empty`, `dump-foreign` (it is
    something else, named), `dump-is-text`, `dump-damaged`, `dump-truncated`, `dump-incomplete` (a
    `.vmsn` without its `.vmem`).
    """
    content = FileContent(path)
    try:
        return _reader(content)
    except BaseException:
        content.close()
        raise


def _reader(content: Content) -> DumpReader:
    start = content.read(0, LOOKED_AT)
    if start.startswith(flattened.MAGIC):
        inner = flattened.FlattenedContent(content)
        start = inner.read(0, LOOKED_AT)
        if start.startswith(kdump.MAGICS):
            return kdump.KdumpReader(inner, "-flattened")
        if start.startswith(elf.MAGIC):
            return elf.read_elf(inner, "-flattened")
        raise Unusable(
            "dump-damaged",
            f"{content.path} is flattened, but there is neither a kdump nor an ELF core in it",
            hint="copy the dump again, and compare checksums",
        )
    if start.startswith(elf.MAGIC):
        return elf.read_elf(content)
    if start.startswith(kdump.MAGICS):
        return kdump.KdumpReader(content)
    if start.startswith(vmware.MAGICS):
        return vmware.read_vmware(content)
    checkpoint = vmware.checkpoint_beside(content.path)
    if checkpoint is not None:
        content.close()
        return open_dump(checkpoint)
    refuse_foreign(content.path, start)
    return read_raw(content)
