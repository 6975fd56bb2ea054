"""Every format: the memory that was written is read back, and the kernel in it identified."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from kernsym.client.dumps import open_dump, read_facts
from kernsym.client.dumps.content import FileContent
from kernsym.client.dumps.flattened import FlattenedContent
from kernsym.client.dumps.kdump_header import parse_header
from kernsym.client.dumps.mapped import Extent, disjoint
from kernsym.distros import Unusable
from tests.client.dumps import writers
from tests.client.dumps.writers import BANNER, BANNER_AT, BUILD_ID, PAGE, RELEASE, VERSION

HELD = writers.memory()
INFO_HELD = writers.memory(info=True)
INFO_NOTE = writers.note(b"VMCOREINFO", 0, writers.vmcoreinfo())
QEMU_NOTES = writers.note(b"CORE", 1, bytes(336)) + writers.note(b"QEMU", 0, bytes(432))

ELFS = {
    "plain": writers.elf(HELD, notes=INFO_NOTE),
    "notes of QEMU first": writers.elf(HELD, notes=QEMU_NOTES + INFO_NOTE),
    "PN_XNUM": writers.elf(HELD, notes=INFO_NOTE, numerous=True),
    "QEMU 7.2's odd header": writers.elf(HELD, notes=INFO_NOTE, like_qemu=True),
    "in pieces that overlap": writers.elf(
        HELD, notes=INFO_NOTE, segments=[(0x100000, 0x100000), (0, 0x180000), (0x140000, 0x1000)]
    ),
}
WITHOUT_NOTE = {
    "elf": writers.elf(INFO_HELD),
    "kdump": writers.kdump(INFO_HELD),
    "kdump-flattened": writers.flatten(writers.kdump(INFO_HELD)),
    "elf-flattened": writers.flatten(writers.elf(INFO_HELD)),
    "vmss": writers.checkpoint(INFO_HELD),
    "raw": INFO_HELD.image(),
}


@pytest.mark.parametrize("case", ELFS)
def test_elf_with_note(case: str, tmp_path: Path) -> None:
    path = writers.write(tmp_path, "vmcore", ELFS[case])
    facts = read_facts(path)
    assert facts.format == "elf"
    assert facts.memory == HELD.size
    assert (facts.vmcoreinfo_from, facts.banner_from) == ("note", "memory")
    assert_identified(facts.fingerprint.banner, facts.fingerprint.build_id)
    assert facts.banner_address == BANNER_AT
    assert (facts.kaslr_offset, facts.phys_base) == (writers.KASLR, writers.PHYS_BASE)
    assert_memory(path, HELD)


def test_a_copy_in_the_image_is_not_taken_for_the_banner(tmp_path: Path) -> None:
    held = writers.memory()
    held.contents[writers.IMAGE + 0x100] = BANNER.encode() + b" and residue\0"
    facts = read_facts(writers.write(tmp_path, "vmcore", writers.elf(held, notes=INFO_NOTE)))
    assert (facts.fingerprint.banner, facts.banner_address) == (BANNER, BANNER_AT)


@pytest.mark.parametrize(
    ("order", "machine", "arch"),
    [("<", 62, "x86_64"), ("<", 21, "ppc64le"), (">", 21, "ppc64"), (">", 22, "s390x")],
)
def test_elf_of_other_machines(order: str, machine: int, arch: str, tmp_path: Path) -> None:
    notes = writers.note(b"VMCOREINFO", 0, writers.vmcoreinfo(), order)
    data = writers.elf(HELD, order=order, machine=machine, notes=notes, numerous=True)
    facts = read_facts(writers.write(tmp_path, "vmcore", data))
    assert facts.fingerprint.arch == arch
    assert facts.fingerprint.release == RELEASE
    assert facts.fingerprint.banner == BANNER


@pytest.mark.parametrize("compression", writers.COMPRESSORS)
@pytest.mark.parametrize("version", range(1, 7))
def test_kdump_by_utsname_alone(version: int, compression: str, tmp_path: Path) -> None:
    data = writers.kdump(HELD, version=version, compression=compression, uts=writers.utsname())
    path = writers.write(tmp_path, "vmcore", data)
    facts = read_facts(path, refuse_to_scan)
    assert (facts.format, facts.compression) == ("kdump", compression)
    assert (facts.fingerprint.release, facts.fingerprint.version) == (RELEASE, VERSION)
    assert facts.fingerprint.arch == "x86_64"
    assert facts.fingerprint.banner is None
    assert (facts.memory, facts.missing) == (HELD.size, 0)
    assert_memory(path, HELD)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("where", ["header", "note"])
def test_kdump_shows_the_whole_banner(order: str, where: str, tmp_path: Path) -> None:
    """The header cannot tell the builder; VMCOREINFO tells the page that does."""
    if where == "header":
        data = writers.kdump(HELD, info=writers.vmcoreinfo(), order=order, uts=writers.utsname())
    else:  # QEMU's, with an empty utsname
        note = writers.note(b"VMCOREINFO", 0, writers.vmcoreinfo(), order)
        data = writers.kdump(HELD, notes=note, order=order)
    facts = read_facts(writers.write(tmp_path, "vmcore", data), refuse_to_scan)
    assert (facts.vmcoreinfo_from, facts.banner_from) == (where, "memory")
    assert_identified(facts.fingerprint.banner, facts.fingerprint.build_id)
    assert facts.fingerprint.machine == "x86_64"


@pytest.mark.parametrize("format", WITHOUT_NOTE)
def test_vmcoreinfo_is_found_in_memory(format: str, tmp_path: Path) -> None:
    path = writers.write(tmp_path, "dump", WITHOUT_NOTE[format])
    facts = read_facts(path)
    assert facts.format == format
    assert facts.vmcoreinfo_from == "memory"
    assert_identified(facts.fingerprint.banner, facts.fingerprint.build_id)
    assert (facts.kaslr_offset, facts.phys_base) == (writers.KASLR, writers.PHYS_BASE)
    assert facts.needs_address is (format == "raw")
    assert_memory(path, INFO_HELD)


@pytest.mark.parametrize(
    ("extents", "expected"),
    [
        ([(0, 10, 100), (5, 10, 500)], [(0, 10, 100), (10, 5, 505)]),
        ([(5, 10, 105), (0, 5, 100)], [(0, 15, 100)]),
        ([(0, 10, 100), (5, 10, 105)], [(0, 15, 100)]),
        ([(0, 5, 100), (5, 5, 300)], [(0, 5, 100), (5, 5, 300)]),
        ([(0, 20, 100), (5, 5, 300)], [(0, 20, 100)]),
        ([], []),
    ],
)
def test_memory_described_twice(
    extents: list[tuple[int, int, int]], expected: list[tuple[int, int, int]]
) -> None:
    assert disjoint(Extent(*extent) for extent in extents) == expected


def test_what_was_filtered_out_reads_as_zeros(tmp_path: Path) -> None:
    """makedumpfile -E stores less of a segment than its size in memory."""
    data = bytearray(writers.elf(HELD, notes=INFO_NOTE))
    stored = 0x180000
    data[64 + 56 + 32 : 64 + 56 + 40] = stored.to_bytes(8, "little")  # p_filesz of the memory
    path = writers.write(tmp_path, "vmcore", bytes(data))
    with closing(open_dump(path)) as reader:
        assert [segment.size for segment in reader.segments()] == [HELD.size]
        assert reader.read(BANNER_AT, 5) == b"Linux"
        assert reader.read(stored - 4, 8) == HELD.image()[stored - 4 : stored] + bytes(4)


def test_old_diskdump_has_one_bitmap(tmp_path: Path) -> None:
    data = writers.kdump(
        HELD, signature=b"DISKDUMP", version=1, uts=writers.utsname(), one_bitmap=True
    )
    facts = read_facts(writers.write(tmp_path, "vmcore", data))
    assert facts.fingerprint.release == RELEASE
    assert facts.memory == len(HELD.pages()) * PAGE
    assert_memory(tmp_path / "vmcore", HELD)


@pytest.mark.parametrize(
    ("frames", "blocks", "second"),
    [(32768, 2, True), (32769, 2, False), (65536, 2, False), (65536, 4, True)],
)
def test_whether_there_are_two_bitmaps(
    frames: int, blocks: int, second: bool, tmp_path: Path
) -> None:
    data = bytearray(writers.kdump(HELD, version=1))
    data[436:444] = blocks.to_bytes(4, "little") + frames.to_bytes(4, "little")
    with closing(FileContent(writers.write(tmp_path, "vmcore", bytes(data)))) as content:
        layout = parse_header(content)
    assert (layout.stored_offset > layout.present_offset) is second


@pytest.mark.parametrize("version", range(2, 7))
@pytest.mark.parametrize("part", [(0, 300), (300, 512)])
def test_part_of_a_split_dump(version: int, part: tuple[int, int], tmp_path: Path) -> None:
    data = writers.kdump(HELD, version=version, uts=writers.utsname(), part=part)
    path = writers.write(tmp_path, "vmcore", data)
    facts = read_facts(path)
    assert facts.split and facts.fingerprint.version == VERSION
    held = HELD.image()
    with closing(open_dump(path)) as reader:
        assert reader.read(part[0] * PAGE, 64) == held[part[0] * PAGE :][:64]
        assert (reader.read(BANNER_AT, 5) == b"Linux") is (part[0] <= BANNER_AT // PAGE < part[1])


def test_vmem_beside_its_checkpoint(tmp_path: Path) -> None:
    """Memory above the hole lies in the .vmem without the hole; either file may be named."""
    held = writers.memory(info=True)
    half = held.size // 2 // PAGE
    regions = [(0, 0, half), (half, half + 1024, half)]
    path = writers.write(
        tmp_path, "vm.vmsn", writers.checkpoint(held, embedded=False, regions=regions)
    )
    vmem = writers.write(tmp_path, "vm.vmem", held.image())
    for named in (path, vmem):
        with closing(open_dump(named)) as reader:
            assert (reader.path, reader.format) == (path, "vmsn")
            sizes = [(segment.address, segment.size) for segment in reader.segments()]
            assert sizes == [(0, half * PAGE), ((half + 1024) * PAGE, half * PAGE)]
            moved = BANNER_AT + 1024 * PAGE
            assert reader.read(moved, len(BANNER)) == BANNER.encode()
            assert reader.read(half * PAGE - 8, 16) == held.image()[half * PAGE - 8 :][:8] + bytes(
                8
            )
    facts = read_facts(vmem)
    assert facts.path == str(path)
    assert facts.fingerprint.banner == BANNER
    assert facts.banner_address == BANNER_AT + 1024 * PAGE


def test_checkpoint_without_its_vmem(tmp_path: Path) -> None:
    path = writers.write(tmp_path, "vm.vmsn", writers.checkpoint(HELD, embedded=False))
    with pytest.raises(Unusable) as caught:
        open_dump(path)
    assert caught.value.code == "dump-incomplete"
    assert "vm.vmem" in caught.value.message and str(tmp_path) in str(caught.value.hint)


def test_vmem_alone_is_raw_memory(tmp_path: Path) -> None:
    facts = read_facts(writers.write(tmp_path, "vm.vmem", INFO_HELD.image()))
    assert (facts.format, facts.fingerprint.banner) == ("raw", BANNER)


def test_flattened_parts_written_twice(tmp_path: Path) -> None:
    """makedumpfile goes back to its sub header: what comes later in the stream counts."""
    good = writers.kdump(HELD, uts=writers.utsname())
    wrong = writers.kdump(HELD, uts=writers.utsname(release="0.0.0-wrong"))
    twice = writers.flatten(wrong[: 8 * PAGE], ended=False) + writers.flatten(good)[PAGE:]
    with closing(
        FlattenedContent(FileContent(writers.write(tmp_path, "vmcore", twice)))
    ) as content:
        assert content.read(len(good) - 9, 9) == good[-9:]
        assert content.read(0, len(good)) == good


def assert_identified(banner: str | None, build_id: str | None) -> None:
    assert (banner, build_id) == (BANNER, BUILD_ID)


def assert_memory(path: Path, held: writers.Memory) -> None:
    """All of memory reads back, by pieces over page borders and by chunks."""
    expected = held.image()
    with closing(open_dump(path)) as reader:
        assert reader.read(0, len(expected)) == expected
        for address in (0, 1, PAGE - 1, BANNER_AT - 3, held.size - 70):
            assert reader.read(address, 70) == expected[address : address + 70]
        seen = bytearray(len(expected))
        for part in reader.parts():
            for address, piece in part:
                seen[address : address + len(piece)] = piece
    assert bytes(seen) == expected


def refuse_to_scan(done: int, total: int) -> None:
    raise AssertionError("the headers tell enough, memory must not be scanned")
