"""Where the sections of an ELF file lie, on a module as elfutils' own tools change it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kernsym.distros import Refused
from kernsym.server.binaries.sections import read_sections
from tests import elf_writer
from tests.server.world_store import World


@pytest.fixture
def module(tmp_path: Path, world: World) -> Path:
    path = tmp_path / "overlay.ko"
    path.write_bytes(world.content(world.module("overlay")))
    return path


def run(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def dumped(path: Path, name: str, target: Path) -> bytes:
    """What binutils take a section's bytes for."""
    run("objcopy", "-O", "binary", f"--only-section={name}", "--set-section-flags",
        f"{name}=alloc", path, target)  # fmt: skip
    return target.read_bytes()


@pytest.mark.parametrize("name", [".text", ".debug_str", ".modinfo", ".symtab", ".shstrtab"])
def test_the_bytes_are_those_of_the_section(module: Path, tmp_path: Path, name: str) -> None:
    offset, size = read_sections(module).places[name]
    content = module.read_bytes()[offset : offset + size]
    if name in (".symtab", ".shstrtab"):  # objcopy makes these anew
        assert content[:1] == b"\0" and size > 100
    else:
        assert content == dumped(module, name, tmp_path / "section")


def test_a_compressed_section_is_given_as_it_is(module: Path) -> None:
    plain = read_sections(module).places[".debug_info"]
    run("eu-elfcompress", "-t", "zlib", module)
    offset, size = read_sections(module).places[".debug_info"]
    assert size < plain[1]
    header = module.read_bytes()[offset : offset + 24]
    assert int.from_bytes(header[:4], "little") == 1  # ELFCOMPRESS_ZLIB
    assert int.from_bytes(header[8:16], "little") == plain[1]


def test_a_file_with_debug_information_only_has_no_code(module: Path, tmp_path: Path) -> None:
    debug = tmp_path / "overlay.ko.debug"
    assert not read_sections(module).outlined
    run("objcopy", "--only-keep-debug", module, debug)
    sections = read_sections(debug)
    assert sections.outlined
    assert ".text" not in sections.places and ".debug_info" in sections.places


def test_sections_that_lie_outside_the_file_or_are_empty_are_none(tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(elf_writer.elf([("a", 1, b"x"), ("empty", 1, b""), ("a", 1, b"yy")]))
    places = read_sections(path).places
    assert "empty" not in places and places["a"][1] == 1  # the first of a name
    names = path.read_bytes().index(b"\0a\0")
    hostile = bytearray(path.read_bytes())
    row = len(hostile) - 64 * 4  # of the first "a": null, a, empty, a, .shstrtab
    assert names and hostile[row + 32 : row + 40] == (1).to_bytes(8, "little")
    hostile[row + 32 : row + 40] = (1 << 40).to_bytes(8, "little")
    path.write_bytes(hostile)
    assert "a" not in read_sections(path).places


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"MZ" + bytes(100), b"\x7fELF\x02\x01\x01"])
def test_what_is_no_elf_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(Refused) as caught:
        read_sections(path)
    assert caught.value.code == "elf-unreadable"
