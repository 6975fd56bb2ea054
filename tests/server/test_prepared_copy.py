"""The prepared copy of a real vmlinux: what is in it, what it must not be made from."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernsym.distros import Refused, Unusable
from kernsym.server.binaries import elf, prepared
from kernsym.server.binaries.gdb_index import Gdb, find_gdb, make_index
from kernsym.server.binaries.prepared import require_copy, write_prepared
from kernsym.server.binaries.prepared_layout import HEADER_SIZE
from kernsym.server.binaries.verify import read_identity
from tests import elf_writer
from tests.elf_assembler import assemble, run
from tests.server.world_store import World

INDEX = b"an index, as far as the copy is concerned"


@pytest.fixture(scope="module")
def vmlinux(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small executable with DWARF, linked with its relocations as Debian's kernels are."""
    folder = tmp_path_factory.mktemp("kernel")
    return link(folder, "call _start\n" * 3000)


def link(folder: Path, code: str, machine: tuple[str, ...] = ("--64", "elf_x86_64")) -> Path:
    assembler, linker = machine
    (folder / "head.s").write_text(f".text\n.globl _start\n_start: {code}")
    run(folder, "as", assembler, "-g", "-o", "head.o", "head.s")
    options = ("--emit-relocs", "--build-id=0x0123456789", f"-m{linker}")
    run(folder, "ld", *options, "-o", "vmlinux", "head.o")
    return folder / "vmlinux"


def sections(path: Path) -> dict[str, tuple[str, bytes]]:
    """Type and content of each section that has a name."""
    with path.open("rb") as file:
        found = ELFFile(file).iter_sections()
        return {each.name: (each["sh_type"], each.data()) for each in found if each.name}


def test_it_has_the_index_and_everything_but_the_relocations(vmlinux: Path, tmp_path: Path) -> None:
    before = sections(vmlinux)
    copy = write_prepared(vmlinux, INDEX, tmp_path / "copy")
    after = sections(tmp_path / "copy")
    assert any(name.startswith(".rela") for name in before)
    assert after.pop(".gdb_index") == ("SHT_PROGBITS", INDEX)
    assert after.pop(".shstrtab")[1] == before.pop(".shstrtab")[1] + b".gdb_index\0"
    assert after == {name: it for name, it in before.items() if not name.startswith(".rela")}
    assert (copy.size, len(copy.sha256)) == ((tmp_path / "copy").stat().st_size, 64)
    run(tmp_path, "readelf", "--all", "--wide", "copy")
    require_copy(vmlinux, tmp_path / "copy")


def test_what_the_kernel_loads_lies_where_it_lay(vmlinux: Path, tmp_path: Path) -> None:
    write_prepared(vmlinux, INDEX, tmp_path / "copy")
    with vmlinux.open("rb") as one, (tmp_path / "copy").open("rb") as other:
        for before, after in zip(
            ELFFile(one).iter_segments(), ELFFile(other).iter_segments(), strict=True
        ):
            assert dict(before.header) == dict(after.header)
            skip = HEADER_SIZE if before["p_offset"] == 0 else 0
            assert before.data()[skip:] == after.data()[skip:]


def test_an_old_index_is_replaced(vmlinux: Path, tmp_path: Path) -> None:
    write_prepared(vmlinux, b"old", tmp_path / "once")
    write_prepared(tmp_path / "once", INDEX, tmp_path / "twice")
    assert sections(tmp_path / "twice")[".gdb_index"] == ("SHT_PROGBITS", INDEX)
    require_copy(vmlinux, tmp_path / "twice")


@pytest.mark.parametrize("kind", ["zlib", "zstd"])
def test_compressed_sections_are_inflated(vmlinux: Path, tmp_path: Path, kind: str) -> None:
    packed = tmp_path / "packed"
    run(tmp_path, "objcopy", f"--compress-debug-sections={kind}", str(vmlinux), str(packed))
    with packed.open("rb") as file:
        assert any(section.compressed for section in ELFFile(file).iter_sections())
    write_prepared(packed, INDEX, tmp_path / "copy")
    for name, (_, content) in sections(vmlinux).items():
        if name.startswith(".debug"):
            assert sections(tmp_path / "copy")[name][1] == content
    require_copy(packed, tmp_path / "copy")


def test_32_bits_and_the_other_byte_order(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(elf_writer.vmlinux(order=">"))
    write_prepared(tmp_path / "big", INDEX, tmp_path / "copy")
    assert read_identity(tmp_path / "copy") == read_identity(tmp_path / "big")
    small = link(tmp_path, "call _start\n", ("--32", "elf_i386"))
    write_prepared(small, INDEX, tmp_path / "copy")
    run(tmp_path, "readelf", "--all", "--wide", "copy")
    assert sections(tmp_path / "copy")[".gdb_index"] == ("SHT_PROGBITS", INDEX)
    require_copy(small, tmp_path / "copy")


@pytest.mark.parametrize(
    "content", [b"", b"\x7fELF", b"not at all", elf_writer.module("00" * 20)[:80], bytes(4096)]
)
def test_what_is_no_executable_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "vmlinux").write_bytes(content)
    with pytest.raises(Refused, match="no copy of vmlinux can be made"):
        write_prepared(tmp_path / "vmlinux", INDEX, tmp_path / "copy")


def test_a_module_keeps_its_relocations(vmlinux: Path, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no copy") as caught:
        write_prepared(vmlinux.with_name("head.o"), INDEX, tmp_path / "copy")
    assert "its relocations are needed" in caught.value.context[0]


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(data=st.data())
def test_damaged_files_are_refused_or_copied(
    vmlinux: Path, tmp_path: Path, data: st.DataObject
) -> None:
    content = bytearray(vmlinux.read_bytes())
    headers = struct.unpack_from("<Q", content, 40)[0]
    for _ in range(data.draw(st.integers(1, 4))):
        start, end = data.draw(st.sampled_from([(0, 64), (headers, len(content))]))
        content[data.draw(st.integers(start, end - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "damaged").write_bytes(content)
    try:
        copy = write_prepared(tmp_path / "damaged", INDEX, tmp_path / "copy")
    except Refused:
        return
    # A section may be aligned to 16 MB; nothing lets it grow beyond that.
    assert copy.size < len(content) * 2 + (64 << 24)


def test_a_bomb_is_stopped_at_what_its_header_says(
    vmlinux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "packed"
    run(tmp_path, "objcopy", "--compress-debug-sections=zlib", str(vmlinux), str(packed))
    monkeypatch.setattr(prepared, "_MOST_INFLATED", 4)
    with pytest.raises(Refused) as caught:
        write_prepared(packed, INDEX, tmp_path / "copy")
    assert "hold too much" in caught.value.context[0]


def test_another_kernel_is_no_copy(vmlinux: Path, tmp_path: Path) -> None:
    other = assemble(tmp_path / "other", elf_writer.BANNER, gaps={"_stext": 8, "prb": 24})
    with pytest.raises(Refused, match="build ID and banner and symbols differ"):
        require_copy(vmlinux, other)


def test_the_worlds_kernel_by_the_real_gdb(world: World, tmp_path: Path) -> None:
    """What gdb says of it is the same, and it says that it has an index."""
    original = world.folder / world.vmlinux.path
    gdb = find_gdb()
    assert gdb is not None
    index = make_index(gdb, original, tmp_path)
    write_prepared(original, index, tmp_path / "vmlinux")
    require_copy(original, tmp_path / "vmlinux")
    assert [path.name for path in tmp_path.iterdir()] == ["vmlinux"], "nothing of gdb's is left"
    questions = ["info line panic", "ptype struct module", "info scope vfs_write", "list panic"]
    said = [
        subprocess.run(
            [gdb.path, "-nx", "-batch", *(f"-ex={each}" for each in questions), path],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for path in (original, tmp_path / "vmlinux")
    ]
    assert said[0] == said[1]
    assert "struct module {" in said[0]
    command = [gdb.path, "-nx", "-batch", "-ex=maint info sections .gdb_index"]
    done = subprocess.run([*command, tmp_path / "vmlinux"], capture_output=True, timeout=60)
    assert b".gdb_index" in done.stdout
    assert (elf.section(tmp_path / "vmlinux", ".gdb_index") or b"") == index


def test_a_gdb_that_makes_none(vmlinux: Path, tmp_path: Path) -> None:
    broken = Gdb(path=shutil.which("false") or "/bin/false", title="gdb 1.0")
    with pytest.raises(Unusable, match=r"gdb 1\.0 made no index .* wrote no index"):
        make_index(broken, vmlinux, tmp_path)
    with pytest.raises(Unusable, match="made no index"):
        make_index(Gdb(path="/nowhere/gdb", title="gdb 1.0"), vmlinux, tmp_path)
