"""What is no dump: named for what it is, with what to do."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import random
from pathlib import Path

import pytest
import zstandard

from kernsym.client.dumps import read_facts
from kernsym.distros import Unusable
from tests.client.dumps import writers

MEMORY = writers.memory(info=True)
DUMP = MEMORY.image()[: 64 << 10]
ELF = writers.elf(MEMORY)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(500), "JPEG"),
        (b"\x89PNG\r\n\x1a\n" + bytes(500), "PNG"),
        (b"QFI\xfb\0\0\0\3" + bytes(500), "qcow2"),
        (b"KDMV\1\0\0\0" + bytes(500), "VMDK"),
        (gzip.compress(DUMP), "gzip"),
        (lzma.compress(DUMP), "xz"),
        (zstandard.compress(DUMP), "zstd"),
        (bz2.compress(DUMP), "bzip2"),
        (b"QEVM\0\0\0\3" + bytes(500), "migration stream"),
        (b"LibvirtQemudSave\2\0\0\0" + bytes(500), "libvirt"),
        (b"EMiL\1\0\0\0" + bytes(500), "LiME"),
        (b"PAGEDU64\x0f\0\0\0" + bytes(500), "Windows"),
        (b"LUKS\xba\xbe\0\2" + bytes(500), "LUKS"),
        (writers.elf(MEMORY, kind=2), "a program or vmlinux"),
        (writers.elf(MEMORY, kind=3), "a shared object"),
        (ELF[:4] + b"\1" + ELF[5:], "32-bit ELF"),
        (writers.elf(MEMORY, notes=writers.note(b"CORE", 6, bytes(16))), "core of a program"),
    ],
)
def test_foreign_files_are_named(data: bytes, words: str, tmp_path: Path) -> None:
    error = refused(writers.write(tmp_path, "file", data))
    assert error.code == "dump-foreign"
    assert words in error.message and "expected a" in error.message
    assert error.hint


def test_32_bit_kdump(tmp_path: Path) -> None:
    header = (b"KDUMP   " + (6).to_bytes(4, "little") + bytes(390)).ljust(412, b"\0")
    data = header + (1).to_bytes(4, "little") + (4096).to_bytes(4, "little") + bytes(8000)
    error = refused(writers.write(tmp_path, "vmcore", data))
    assert error.code == "dump-foreign" and "32-bit" in error.message


def test_text(tmp_path: Path) -> None:
    error = refused(writers.write(tmp_path, "dmesg.txt", f"[0.0] {writers.BANNER}\n".encode()))
    assert error.code == "dump-is-text"
    assert "kernsym identify" in str(error.hint)


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    cases = {
        tmp_path: ("dump-foreign", "a directory"),
        tmp_path / "pipe": ("dump-foreign", "a pipe"),  # opening it would block
        Path("/dev/null"): ("dump-foreign", "a device"),
        tmp_path / "nothing": ("dump-not-found", "no file"),
        tmp_path / "dangling": ("dump-not-found", "no file"),
        writers.write(tmp_path, "empty", b""): ("dump-empty", "empty"),
        Path("bad\0name"): ("dump-unreadable", "cannot be opened"),
    }
    for path, (code, words) in cases.items():
        error = refused(path)
        assert (error.code, words in error.message) == (code, True), path


def test_no_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may read everything, so the refusal comes from the one call that would give it."""
    path = writers.write(tmp_path, "vmcore", DUMP)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    error = refused(path)
    assert error.code == "dump-unreadable" and "root" in str(error.hint)


def test_noise_looks_encrypted(tmp_path: Path) -> None:
    error = refused(writers.write(tmp_path, "dump", random.Random(1).randbytes(1 << 20)))
    assert error.code == "dump-no-kernel" and "encrypted" in error.message


def test_memory_of_something_else(tmp_path: Path) -> None:
    strange = bytes(4096) + b"Linux version %s (%s)\0" + bytes(1 << 20)
    error = refused(writers.write(tmp_path, "dump", strange))
    assert error.code == "dump-no-kernel" and "raw memory" in error.message
    assert any("format string" in line for line in error.context)


def test_flattened_nonsense(tmp_path: Path) -> None:
    error = refused(writers.write(tmp_path, "dump", writers.flatten(DUMP)))
    assert error.code == "dump-damaged"


@pytest.mark.parametrize("length", [14, 64, 400, 4100])
@pytest.mark.parametrize("format", ["elf", "kdump", "flattened", "checkpoint"])
def test_cut_inside_the_headers(format: str, length: int, tmp_path: Path) -> None:
    whole = {
        "elf": ELF,
        "kdump": writers.kdump(MEMORY, uts=writers.utsname()),
        "flattened": writers.flatten(ELF, piece=4096),
        "checkpoint": writers.checkpoint(MEMORY),
    }[format]
    error = refused(writers.write(tmp_path, "dump", whole[:length]))
    assert error.code in ("dump-truncated", "dump-damaged", "dump-incomplete")
    assert error.hint


def refused(path: Path) -> Unusable:
    with pytest.raises(Unusable) as caught:
        read_facts(path)
    return caught.value
