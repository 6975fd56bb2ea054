"""Headers of real dumps, cut off behind them: what they tell, and how much is missing."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from kernsym.client.dumps import open_dump, read_facts
from kernsym.distros import Unusable

DATA = Path(__file__).parent / "data"
RELEASE = "6.1.0-56-amd64"
VERSION = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-16)"
BUILD_ID = "eb4fbcd037e7253717950bf2b93bd5566f47c56f"


def cut(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_bytes(gzip.decompress((DATA / f"{name}.gz").read_bytes()))
    return path


@pytest.mark.parametrize(
    ("name", "format", "origin", "version", "kaslr", "phys_base"),
    [
        ("qemu-elf", "elf", "note", None, 0x1A200000, -268435456),
        ("makedumpfile-elf", "elf", "note", None, 0x17600000, -218103808),
        ("makedumpfile-kdump", "kdump", "header", VERSION, 0x17600000, -218103808),
        ("makedumpfile-flattened", "kdump-flattened", "header", VERSION, 0x17600000, -218103808),
        ("qemu-kdump", "kdump-flattened", "header", None, 0x1A200000, -268435456),
    ],
)
def test_identity_of_a_dump_cut_behind_its_headers(
    name: str,
    format: str,
    origin: str,
    version: str | None,
    kaslr: int,
    phys_base: int,
    tmp_path: Path,
) -> None:
    facts = read_facts(cut(tmp_path, name))
    assert (facts.format, facts.vmcoreinfo_from, facts.banner_from) == (format, origin, None)
    shown = facts.fingerprint
    assert (shown.release, shown.version, shown.arch) == (RELEASE, version, "x86_64")
    assert shown.build_id == BUILD_ID
    assert (facts.kaslr_offset, facts.phys_base) == (kaslr, phys_base)
    assert facts.missing > 0


def test_missing_bytes_of_an_elf_are_exact(tmp_path: Path) -> None:
    path = cut(tmp_path, "qemu-elf")
    end = 268702907 - 11  # of the file that this was cut from; a table of names came last
    assert read_facts(path).missing == end - path.stat().st_size


@pytest.mark.parametrize("name", ["qemu-elf-paging", "qemu-kdump-no-vmcoreinfo"])
def test_what_shows_no_kernel_says_that_it_is_cut(name: str, tmp_path: Path) -> None:
    with pytest.raises(Unusable) as caught:
        read_facts(cut(tmp_path, name))
    assert caught.value.code == "dump-truncated"
    assert "bytes are missing" in caught.value.message


def test_memory_that_is_cut_off_cannot_be_read(tmp_path: Path) -> None:
    for name in ("qemu-elf", "makedumpfile-kdump"):
        reader = open_dump(cut(tmp_path, name))
        with pytest.raises(Unusable, match="cut off"):
            reader.read(0x1000000, 4096)
        reader.close()
