"""A kernel and its debug file without build IDs: binutils puts a checksum into the kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kernsym.distros import Refused
from kernsym.server.binaries.elf import DebugLink, debug_link
from kernsym.server.binaries.verify import read_identity, require_pair
from tests import elf_writer
from tests.elf_assembler import assemble, run

BANNER = (
    "Linux version 2.6.16.60-0.21-smp (geeko@buildhost) (gcc version 4.1.2 20070115 (SUSE Linux)) "
    "#1 SMP Tue May 6 12:41:02 UTC 2008"
)
Halves = Callable[..., tuple[Path, Path]]


@pytest.fixture
def halves(tmp_path: Path) -> Halves:
    """Assembles and links a kernel and takes its DWARF out: the stripped one, the debug file."""

    def make(number: int = 1, *, build_id: str = "none") -> tuple[Path, Path]:
        folder = tmp_path / f"{number}"
        assemble(folder, BANNER, gaps={"_stext": 16 * number}, build_id=build_id)
        debug, stripped = "vmlinux-2.6.16.60-0.21-smp.debug", "vmlinux-2.6.16.60-0.21-smp"
        run(folder, "objcopy", "--only-keep-debug", "vmlinux", debug)
        linked = f"--add-gnu-debuglink={debug}"
        run(folder, "objcopy", "--strip-debug", linked, "vmlinux", stripped)
        return folder / stripped, folder / debug

    return make


def test_the_checksum_proves_the_pair(halves: Halves) -> None:
    stripped, debug = halves()
    identity = read_identity(stripped)
    assert (identity.banner, identity.build_id) == (BANNER, None)
    assert identity.debug_link is not None and identity.debug_link.name == debug.name
    require_pair(identity, debug)


def test_the_debug_file_of_another_build_is_refused(halves: Halves) -> None:
    stripped, _ = halves(1)
    _, other = halves(2)
    with pytest.raises(Refused) as caught:
        require_pair(read_identity(stripped), other)
    assert caught.value.code == "vmlinux-mismatch"
    assert any("crc-32" in line for line in caught.value.context)


def test_a_changed_debug_file_is_refused(halves: Halves) -> None:
    stripped, debug = halves()
    debug.write_bytes(debug.read_bytes() + b"\0")
    with pytest.raises(Refused):
        require_pair(read_identity(stripped), debug)


def test_build_ids_decide_where_there_are_some(halves: Halves) -> None:
    stripped, debug = halves(1, build_id="0x" + "ab" * 20)
    _, other = halves(2, build_id="0x" + "cd" * 20)
    _, without = halves(3)
    identity = read_identity(stripped)
    require_pair(identity, debug)
    for wrong in (other, without):
        with pytest.raises(Refused):
            require_pair(identity, wrong)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"vmlinux.deb\0" + b"\x78\x56\x34\x12", DebugLink(name="vmlinux.deb", crc=0x12345678)),
        (b"abc\0" + b"\x01\0\0\0", DebugLink(name="abc", crc=1)),
        (b"vmlinux.debug\0\0\0" + b"\x78\x56", None),
        (b"vmlinux.debug", None),
        (b"\0\0\0\0\x01\0\0\0", None),
        (b"", None),
    ],
)  # fmt: skip
def test_the_section(tmp_path: Path, content: bytes, found: DebugLink | None, order: str) -> None:
    if order == ">":
        content = content[:-4] + content[-4:][::-1] if found else content
    path = tmp_path / "vmlinux"
    section = (".gnu_debuglink", elf_writer.PROGBITS, content)
    path.write_bytes(elf_writer.elf([section], order))
    assert debug_link(path) == found


def test_without_a_section_there_is_none(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(elf_writer.vmlinux())
    assert debug_link(path) is None
