"""One pass over a package: what is written, what is refused, while the package still grows."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import subprocess
import tarfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import CouldNotFindOut, KernsymError, Layout, MemberKind, Refused, Unusable
from kernsym.server.growing import GrowingFile
from kernsym.server.unpack import ExtractedFile, Pass, extract
from kernsym.server.unpack.members import safe_path
from tests.deb_writer import COMPRESSIONS, Member, ar, deb, link
from tests.elf_writer import BUILD_ID, module, vmlinux

LAYOUT = Layout(
    vmlinux=re.compile(r"usr/lib/debug/(boot/|lib/modules/K/)?vmlinux(-K)?"),
    modules=re.compile(r"usr/lib/debug/lib/modules/K/.*/(?P<name>[^/]+\.ko)(\.(xz|zst|gz))?"),
    system_map=re.compile(r"usr/lib/debug/boot/System\.map-K"),
)
VMLINUX = "usr/lib/debug/boot/vmlinux-K"
MODULES = "usr/lib/debug/lib/modules/K/kernel"
EXT4 = module("aa" * 20, b"ext4" * 100_000)
NF_CONNTRACK = module("bb" * 20)
MEMBERS: list[Member] = [
    ("./usr/lib/debug/boot/System.map-K", b"ffffffff81000000 T _text\n"),
    (f"./{VMLINUX}", vmlinux()),
    (f"./{MODULES}/fs/ext4/ext4.ko", EXT4),
    (f"./{MODULES}/net/nf-conntrack.ko", NF_CONNTRACK),
    ("./usr/share/doc/copyright", b"GPL-2"),
]


class Bytes:
    """A package that has come whole."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read_at(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + size]


def unpack(package: bytes, into: Path, *names: str) -> tuple[Pass, dict[str, ExtractedFile]]:
    """vmlinux, System.map and the modules named; the files by path."""
    files: list[ExtractedFile] = []
    went = extract(
        Bytes(package),
        LAYOUT,
        lambda kind, name, path: kind is not MemberKind.MODULE or name in names,
        into,
        files.append,
    )
    return went, {file.path: file for file in files}


def written(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}


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


@pytest.mark.parametrize(
    "member",
    [
        (f"/{VMLINUX}", b""),
        (f"./usr/../../{VMLINUX}", b""),
        link(f"./{VMLINUX}", "", tarfile.CHRTYPE),
        link(f"./{VMLINUX}", "", tarfile.FIFOTYPE),
    ],
    ids=["absolute", "parent", "device", "fifo"],
)
def test_refuses_unsafe_members(tmp_path: Path, member: Member) -> None:
    with pytest.raises(Refused) as refused:
        unpack(deb([*MEMBERS, member]), tmp_path)
    assert refused.value.code == "package-unsafe"


def test_refuses_an_absurd_size_before_reading_it(tmp_path: Path) -> None:
    member = tarfile.TarInfo(f"./{VMLINUX}")
    member.size = 9 << 30
    with pytest.raises(Refused, match="claims 9663676416 bytes"):
        unpack(ar([("debian-binary", b""), ("data.tar", member.tobuf())]), tmp_path)


def test_refuses_a_module_that_unpacks_to_more_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.server.unpack.members.MOST_BYTES_OF_A_MEMBER", 1_000_000)
    packed = COMPRESSIONS[".xz"](bytes(5_000_000))
    with pytest.raises(Refused) as refused:
        unpack(deb([(f"./{MODULES}/a/ext4.ko.xz", packed)]), tmp_path, "ext4")
    assert refused.value.code == "package-unsafe"
    assert written(tmp_path) == set()


@pytest.mark.parametrize(
    ("package", "code"),
    [
        (b"", "package-kind-unknown"),
        (b"<html>404</html>", "package-kind-unknown"),
        (b"!<arch>\n", "package-corrupt"),
        (ar([("debian-binary", b"2.0\n")]), "package-corrupt"),
        (ar([("data.tar.xz", b"")]), "package-corrupt"),
        (ar([("data.tar.xz", b"not xz" * 100)]), "package-corrupt"),
        (deb(MEMBERS)[:-40], "package-corrupt"),
        (deb(MEMBERS, "")[:-12_000], "package-corrupt"),
    ],
)
def test_refuses_broken_packages(tmp_path: Path, package: bytes, code: str) -> None:
    with pytest.raises(Refused) as refused:
        unpack(package, tmp_path, "ext4", "nf_conntrack")
    assert refused.value.code == code


@settings(max_examples=300, deadline=None)
@given(
    suffix=st.sampled_from(sorted(COMPRESSIONS)),
    changes=st.lists(st.tuples(st.integers(0, 1 << 30), st.integers(1, 255)), max_size=6),
    cut=st.integers(0, 1 << 30) | st.none(),
)
def test_mutated_packages_are_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    changes: list[tuple[int, int]],
    cut: int | None,
) -> None:
    package = bytearray(deb(MEMBERS[:4], suffix))
    for position, change in changes:
        package[position % len(package)] ^= change
    if cut is not None:
        del package[cut % len(package) :]
    into = tmp_path_factory.mktemp("into")
    try:
        _, files = unpack(bytes(package), into, "ext4", "nf_conntrack")
    except KernsymError:
        files = {}
    assert not any(path.rpartition("/")[2].startswith(".") for path in written(into))
    assert set(files) <= written(into)
    shutil.rmtree(into)


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


@pytest.mark.parametrize(
    ("path", "safe"),
    [
        ("./usr/lib/", "usr/lib"),
        ("usr//lib", "usr/lib"),
        ("a/./b", "a/b"),
        ("./", ""),
        ("..a", "..a"),
    ],
)
def test_safe_path(path: str, safe: str) -> None:
    assert safe_path(path) == safe


@pytest.mark.parametrize("path", ["/", "/etc", "..", "a/..", "./../a", "a\0b"])
def test_unsafe_path(path: str) -> None:
    with pytest.raises(Refused):
        safe_path(path)
