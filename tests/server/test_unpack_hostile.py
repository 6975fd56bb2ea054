"""Packages that are broken or mean harm: refused, whatever they hold."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernsym.distros import KernsymError, Refused
from kernsym.server.unpack.members import safe_path
from tests.deb_writer import COMPRESSIONS, Member, ar, deb, link
from tests.server.unpacking import (
    MEMBERS,
    MODULES,
    VMLINUX,
    unpack,
    written,
)


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
    monkeypatch.setattr("kernsym.server.unpack.allowance.MOST_BYTES_OF_A_MEMBER", 1_000_000)
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
