"""One pass over a package: what is written, while the package still grows."""

from __future__ import annotations

import hashlib
import itertools
import random
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut, MemberKind, Refused, Unusable
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.unpack import ExtractedFile, Pass, extract
from kernsym.server.unpack import member_file as unpacked
from tests.deb_writer import COMPRESSIONS, Member, deb, link
from tests.elf_writer import BUILD_ID, vmlinux
from tests.server.unpacking import (
    EXT4,
    LAYOUT,
    MEMBERS,
    MODULES,
    NF_CONNTRACK,
    VMLINUX,
    Bytes,
    unpack,
    written,
)


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_writes_wanted_members_only(tmp_path: Path, suffix: str) -> None:
    went, files = unpack(deb(MEMBERS, suffix), tmp_path, "nf_conntrack")
    assert went == Pass(complete=True, modules=frozenset({"ext4", "nf_conntrack"}))
    assert written(tmp_path) == set(files)
    assert set(files) == {
        "usr/lib/debug/boot/System.map-K",
        VMLINUX,
        f"{MODULES}/net/nf-conntrack.ko",
    }
    assert (tmp_path / VMLINUX).read_bytes() == vmlinux()
    assert files[VMLINUX] == ExtractedFile(
        kind=MemberKind.VMLINUX,
        name="vmlinux",
        path=VMLINUX,
        size=len(vmlinux()),
        sha256=hashlib.sha256(vmlinux()).hexdigest(),
        build_id=BUILD_ID,
    )
    assert files[f"{MODULES}/net/nf-conntrack.ko"].build_id == "bb" * 20


def test_unpacks_what_dpkg_packs(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.fail("this test needs dpkg-deb (apt-get install dpkg)")
    tree = tmp_path / "tree"
    for path, content in (
        (
            "DEBIAN/control",
            b"Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a\nDescription: a\n",
        ),
        (VMLINUX, vmlinux()),
        (f"{MODULES}/ext4.ko", EXT4),
    ):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / "usr/lib/debug/vmlinux-K").symlink_to("boot/vmlinux-K")
    subprocess.run(["dpkg-deb", "-b", tree, tmp_path / "a.deb"], check=True, capture_output=True)
    _, files = unpack((tmp_path / "a.deb").read_bytes(), tmp_path / "into", "ext4")
    assert set(files) == {VMLINUX, f"{MODULES}/ext4.ko"} == written(tmp_path / "into")
    assert (tmp_path / "into" / MODULES / "ext4.ko").read_bytes() == EXT4


@pytest.mark.parametrize("suffix", [".xz", ".zst", ".gz"])
def test_unpacks_compressed_modules(tmp_path: Path, suffix: str) -> None:
    packed = COMPRESSIONS[suffix](EXT4)
    members: list[Member] = [
        (f"./{MODULES}/fs/ext4.ko{suffix}", packed),
        (f"./{MODULES}/net/nf-conntrack.ko", NF_CONNTRACK),
    ]
    _, files = unpack(deb(members), tmp_path, "ext4", "nf_conntrack")
    file = files[f"{MODULES}/fs/ext4.ko"]
    assert (file.name, file.size, file.build_id) == ("ext4", len(EXT4), "aa" * 20)
    assert (tmp_path / file.path).read_bytes() == EXT4
    assert (tmp_path / MODULES / "net/nf-conntrack.ko").read_bytes() == NF_CONNTRACK


@pytest.mark.parametrize("linked", [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_takes_the_regular_file_where_others_link_to_it(tmp_path: Path, linked: bytes) -> None:
    real = "usr/lib/debug/lib/modules/K/vmlinux"
    members: list[Member] = [
        link(f"./{VMLINUX}", "../lib/modules/K/vmlinux", linked),
        (f"./{real}", vmlinux()),
        link("./usr/lib/debug/vmlinux-K", "/etc/passwd", linked),
    ]
    _, files = unpack(deb(members), tmp_path)
    assert set(files) == {real} == written(tmp_path)


def test_a_file_that_is_no_elf_has_no_build_id(tmp_path: Path) -> None:
    _, files = unpack(deb([(f"./{MODULES}/a/ext4.ko", b"\x7fELF and no more")]), tmp_path, "ext4")
    assert files[f"{MODULES}/a/ext4.ko"].build_id is None


def test_stop_ends_the_pass_and_leaves_whole_files_only(tmp_path: Path) -> None:
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(deb(MEMBERS)),
        LAYOUT,
        lambda kind, name, path: True,
        tmp_path,
        files.append,
        stop=lambda: len(files) == 2,
    )
    assert went == Pass(complete=False, modules=frozenset())
    assert [file.kind for file in files] == [MemberKind.SYSTEM_MAP, MemberKind.VMLINUX]
    assert written(tmp_path) == {file.path for file in files}


def test_stop_inside_a_member_discards_it(tmp_path: Path) -> None:
    reads = itertools.count()
    went = extract(
        Bytes(deb([(f"./{VMLINUX}", bytes(3_000_000))], suffix="")),
        LAYOUT,
        lambda kind, name, path: True,
        tmp_path,
        lambda file: pytest.fail("the file is not whole"),
        stop=lambda: next(reads) > 5,
    )
    assert not went.complete
    assert written(tmp_path) == set()


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_member_can_be_read_while_it_is_written(tmp_path: Path, suffix: str) -> None:
    content = random.Random(7).randbytes(3_000_000)
    seen: list[int] = []

    def begin(member: unpacked.Member, path: Path, size: int) -> Callable[[int], None]:
        assert (member.name, size) == ("ext4", len(content))

        def tell(there: int) -> None:
            assert path.read_bytes() == content[:there]
            seen.append(there)

        return tell

    extract(
        Bytes(deb([(f"./{MODULES}/ext4.ko", content)], suffix=suffix)),
        LAYOUT,
        lambda *asked: True,
        tmp_path,
        lambda file: seen.append(0),
        on_begin=begin,
    )
    assert len(seen) > 5
    assert seen[:-1] == sorted(set(seen[:-1])) and seen[-2:] == [len(content), 0]


def test_what_the_callbacks_raise_comes_out(tmp_path: Path) -> None:
    def refuse(file: ExtractedFile) -> None:
        raise Refused("vmlinux-mismatch", "not this one")

    with pytest.raises(Refused, match="not this one"):
        extract(Bytes(deb(MEMBERS)), LAYOUT, lambda *asked: True, tmp_path, refuse)


def test_a_full_disk_is_said(tmp_path: Path) -> None:
    beside = tmp_path / "usr/lib/debug/boot/.vmlinux-K.part"
    beside.parent.mkdir(parents=True)
    beside.symlink_to("/dev/full")
    with pytest.raises(Unusable) as unusable:
        unpack(deb(MEMBERS), tmp_path)
    assert unusable.value.code == "disk-full"
    assert not beside.is_symlink()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "usr").write_bytes(b"")
    with pytest.raises(Unusable) as unusable:
        unpack(deb(MEMBERS), tmp_path)
    assert unusable.value.code == "store-unwritable"


def test_reads_the_package_while_it_grows(tmp_path: Path) -> None:
    package, first = deb(MEMBERS, ""), 300_000
    file = tmp_path / "package.part"
    file.write_bytes(package[:first])
    growing = GrowingFile()
    growing.begin(file)
    growing.grown(first)
    vmlinux_is_out = threading.Event()

    def write_the_rest() -> None:
        if vmlinux_is_out.wait(10):
            with file.open("ab") as part:
                part.write(package[first:])
            growing.grown(len(package))
            growing.finish()
        else:
            growing.fail(AssertionError("vmlinux did not come out before the rest was there"))

    def on_file(extracted: ExtractedFile) -> None:
        if extracted.kind is MemberKind.VMLINUX:
            vmlinux_is_out.set()

    writer = threading.Thread(target=write_the_rest)
    writer.start()
    went = extract(growing, LAYOUT, lambda *asked: True, tmp_path / "into", on_file)
    writer.join()
    growing.close()
    assert went == Pass(complete=True, modules=frozenset({"ext4", "nf_conntrack"}))
    assert (tmp_path / "into" / MODULES / "fs/ext4/ext4.ko").read_bytes() == EXT4


@pytest.mark.parametrize("offset", [0, 5_000])
def test_a_download_that_fails_ends_the_pass_with_its_error(tmp_path: Path, offset: int) -> None:
    file = tmp_path / "package.part"
    file.write_bytes(deb(MEMBERS, "")[:offset])
    growing = GrowingFile()
    growing.begin(file)
    growing.grown(offset)
    threading.Timer(
        0.05, growing.fail, [CouldNotFindOut("mirror-unreachable", "the mirror went away")]
    ).start()
    with pytest.raises(CouldNotFindOut, match="the mirror went away"):
        extract(growing, LAYOUT, lambda *asked: True, tmp_path / "into", lambda file: None)
    growing.close()
    assert not any(path.startswith(".") for path in written(tmp_path / "into"))
