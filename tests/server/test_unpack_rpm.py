"""RPM packages: every compression, while they come, and what cannot or must not be unpacked."""

from __future__ import annotations

import hashlib
import shutil
import stat
import struct
import subprocess
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import CouldNotFindOut, KernsymError, Refused
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.unpack import Pass, extract
from kernsym.server.unpack.entering.rpm_places import member_places
from kernsym.server.unpack.packages.rpm_header import read_header
from tests.elf_writer import BUILD_ID, vmlinux
from tests.rpm_writer import COMPRESSIONS, LONG_FILE_SIZES, CpioFile, cpio, rpm
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

FILES = [member for member in MEMBERS if isinstance(member, tuple)]


@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_writes_wanted_members_only(tmp_path: Path, compressor: str) -> None:
    went, files = unpack(rpm(FILES, compressor), tmp_path, "nf_conntrack")
    assert went == Pass(complete=True, modules=frozenset({"ext4", "nf_conntrack"}))
    assert written(tmp_path) == set(files)
    assert (tmp_path / VMLINUX).read_bytes() == vmlinux()
    assert files[VMLINUX].sha256 == hashlib.sha256(vmlinux()).hexdigest()
    assert files[VMLINUX].build_id == BUILD_ID
    assert (tmp_path / MODULES / "net/nf-conntrack.ko").read_bytes() == NF_CONNTRACK


def test_old_packages_name_no_compressor(tmp_path: Path) -> None:
    """They are gzip; one without compression names none either."""
    package = rpm(FILES, "gzip").replace(struct.pack(">i", 1125), struct.pack(">i", 1099))
    went, _ = unpack(package, tmp_path)
    assert went.complete


def test_unpacks_while_the_package_comes(tmp_path: Path) -> None:
    package = rpm(FILES, "zstd")
    path = tmp_path / "package.rpm"
    path.touch()
    growing = GrowingFile()
    growing.begin(path)

    def come() -> None:
        with path.open("ab", buffering=0) as file:
            for start in range(0, len(package), 997):
                file.write(package[start : start + 997])
                growing.grown(start + 997 if start + 997 < len(package) else len(package))
        growing.finish()

    thread = threading.Thread(target=come)
    thread.start()
    into = tmp_path / "into"
    went = extract(growing, LAYOUT, lambda *member: True, into, lambda file: None)
    thread.join()
    growing.close()
    assert went.complete
    assert (into / MODULES / "fs/ext4/ext4.ko").read_bytes() == EXT4


def test_headers_are_read_as_soon_as_they_have_come(tmp_path: Path) -> None:
    package = rpm([("./a", bytes(1 << 20))], "")
    path = tmp_path / "package.rpm"
    path.write_bytes(package[: 1 << 15])
    growing = GrowingFile()
    growing.begin(path)
    growing.grown(1 << 15)
    header = read_header(growing)
    growing.close()
    assert package[header.end : header.end + 6] == b"070701"
    assert package[header.start : header.start + 4] == b"\x8e\xad\xe8\x01"


def test_what_keeps_it_from_coming_is_raised(tmp_path: Path) -> None:
    growing = GrowingFile()
    growing.fail(CouldNotFindOut("mirror-unreachable", "the line is cut"))
    with pytest.raises(CouldNotFindOut, match="the line is cut"):
        extract(growing, LAYOUT, lambda *member: True, tmp_path, lambda file: None)


def test_of_hard_links_the_one_with_the_content_is_written(tmp_path: Path) -> None:
    """RPM writes the content of a set of hard links with its last name."""
    first, last = f"./{MODULES}/first.ko", f"./{MODULES}/last.ko"
    members: list[tuple[str, bytes] | CpioFile] = [
        CpioFile(path=first, inode=7, links=2),
        CpioFile(path=last, inode=7, links=2, content=EXT4),
        ("./usr/lib/debug/boot/vmlinux-K", vmlinux()),
    ]
    _, files = unpack(rpm(members), tmp_path, "first", "last")
    assert set(files) == {last[2:], VMLINUX}
    assert (tmp_path / last).read_bytes() == EXT4


def test_links_are_passed_over(tmp_path: Path) -> None:
    link = CpioFile(path=f"./{VMLINUX}", content=b"/etc/shadow", mode=stat.S_IFLNK | 0o777)
    _, files = unpack(rpm([link]), tmp_path)
    assert (files, written(tmp_path)) == ({}, set())


@pytest.mark.parametrize("path", ["../vmlinux", "/usr/lib/debug/vmlinux", "./a/../../b"])
def test_members_that_lead_outside_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Refused) as error:
        unpack(rpm([(path, vmlinux())]), tmp_path / "into")
    assert error.value.code == "package-unsafe"


def test_a_stripped_archive_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="stripped") as error:
        unpack(rpm(FILES, tags={LONG_FILE_SIZES: [""]}), tmp_path)
    assert error.value.code == "package-unsupported"


def test_a_stripped_archive_without_its_tag_is_no_empty_package(tmp_path: Path) -> None:
    stripped = b"07070X" + b"%08x" % 0 + b"\0\0" + vmlinux()
    package = rpm([], "").replace(cpio([]), stripped)
    with pytest.raises(Refused) as error:
        unpack(package, tmp_path)
    assert error.value.code == "package-corrupt"


def test_an_unknown_compressor_is_refused_by_its_name(tmp_path: Path) -> None:
    package = rpm(FILES, "zstd").replace(b"\0zstd\0", b"\0zst9\0")
    with pytest.raises(Refused, match="zst9") as error:
        unpack(package, tmp_path)
    assert error.value.code == "package-unsupported"


@pytest.mark.parametrize("compressor", COMPRESSIONS)
def test_a_package_that_is_cut_is_not_complete(tmp_path: Path, compressor: str) -> None:
    package = rpm(FILES, compressor)
    with pytest.raises(Refused) as error:
        unpack(package[: len(package) // 2], tmp_path)
    assert error.value.code == "package-corrupt"


@pytest.mark.parametrize("entries", [1 << 30, -1])
@pytest.mark.parametrize("size", [(1 << 31) - 1, -1])
def test_absurd_headers_end(entries: int, size: int) -> None:
    lead = rpm([])[:96]
    header = b"\x8e\xad\xe8\x01\0\0\0\0" + struct.pack(">ii", entries, size)
    with pytest.raises(Refused) as error:
        read_header(Bytes(lead + header + bytes(1000)))
    assert error.value.code == "package-corrupt"


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_headers_give_an_error_of_ours(data: st.DataObject) -> None:
    package = bytearray(rpm([("./a", b"a")], "gzip"))
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        at = data.draw(st.integers(0, len(package) - 1), "at")
        package[at] = data.draw(st.integers(0, 255), "value")
    try:
        header = read_header(Bytes(bytes(package)))
    except KernsymError as error:
        assert error.code == "package-corrupt"
    else:
        assert 96 < header.start < header.end <= len(package)


def test_unpacks_what_rpmbuild_packs(tmp_path: Path) -> None:
    """The real tool's package, against the real tool's own unpacking."""
    for program in ("rpmbuild", "rpm2cpio", "cpio"):
        if shutil.which(program) is None:
            pytest.fail(f"this test needs {program} (apt-get install rpm cpio)")
    tree = tmp_path / "tree"
    for path, content in FILES:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    (tree / MODULES / "linked.ko").hardlink_to(tree / MODULES / "fs/ext4/ext4.ko")
    spec = tmp_path / "kernel.spec"
    spec.write_text(
        "Name: kernel-debuginfo\nVersion: 1\nRelease: 1\nSummary: x\nLicense: GPL-2.0\n"
        "AutoReqProv: no\n%define debug_package %{nil}\n%define __os_install_post %{nil}\n"
        "%define _build_id_links none\n%define _binary_payload w3.zstdio\n"
        f"%description\nx\n%install\ncp -a {tree}/. %{{buildroot}}/\n%files\n/usr\n"
    )
    subprocess.run(
        ["rpmbuild", "--quiet", "-bb", "--define", f"_topdir {tmp_path}/top", spec],
        check=True,
        capture_output=True,
    )
    package = next((tmp_path / "top/RPMS").rglob("*.rpm"))
    into, other = tmp_path / "into", tmp_path / "other"
    other.mkdir()
    unpack(package.read_bytes(), into, "ext4", "linked", "nf_conntrack")
    archive = subprocess.run(["rpm2cpio", package], check=True, capture_output=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], input=archive, cwd=other, check=True)
    got = {path: (into / path).read_bytes() for path in written(into)}
    assert got == {path: (other / path).read_bytes() for path in got}
    assert EXT4 in got.values() and VMLINUX in got and len(got) == 4
    places = member_places(Bytes(package.read_bytes()))
    assert places is not None and set(places) >= set(got)
    for path, position in places.items():
        assert archive[position + 110 :].partition(b"\0")[0] == f"./{path}".encode()
