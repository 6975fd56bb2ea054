"""The source tree out of a source package."""

from __future__ import annotations

import gzip
import itertools
import re
import tarfile
from pathlib import Path

import pytest

from kernsym.distros import Layout, Refused, Unusable
from kernsym.server.unpack import SourceTree, allowance, extract_sources
from tests.deb_writer import COMPRESSIONS, Member, deb, link, tar
from tests.server.unpacking import Bytes, written
from tests.source_package_writer import diff

ROOT = "usr/src/linux-source-6.1"
LAYOUT = Layout(
    vmlinux=re.compile("-"),
    modules=re.compile("-"),
    source_archive=re.compile(r"usr/src/linux-source-[^/]+\.tar(\.[a-z0-9]+)?"),
    source_root=ROOT,
)
TREE: list[Member] = [
    ("linux-source-6.1/Makefile", b"VERSION = 6\n"),
    ("linux-source-6.1/kernel/sched/core.c", b"int schedule;\n" * 100_000),
    ("linux-source-6.1/kernel/sched/empty.h", b""),
    link("linux-source-6.1/kernel/link.c", "sched/core.c"),
    link("linux-source-6.1/outside", "/etc/passwd"),
]


def package(tree: list[Member], suffix: str = ".xz", outer: str = ".xz") -> Bytes:
    tarball = COMPRESSIONS[suffix](tar(tree))
    return Bytes(
        deb(
            [
                ("./usr/share/doc/linux-source-6.1/copyright", b"GPL-2"),
                (f"./{ROOT}.tar{suffix}", tarball),
            ],
            outer,
        )
    )


@pytest.mark.parametrize("suffix", COMPRESSIONS)
def test_unpacks_the_tree_without_links(tmp_path: Path, suffix: str) -> None:
    tree = extract_sources(package(TREE, suffix), LAYOUT, tmp_path)
    assert tree == SourceTree(path=ROOT, files=3, size=12 + 1_400_000)
    assert written(tmp_path) == {
        f"{ROOT}/Makefile",
        f"{ROOT}/kernel/sched/core.c",
        f"{ROOT}/kernel/sched/empty.h",
    }
    assert (tmp_path / ROOT / "kernel/sched/core.c").read_bytes() == b"int schedule;\n" * 100_000


def test_replaces_what_an_earlier_run_left(tmp_path: Path) -> None:
    for leftover in (f"{ROOT}/old.c", ".sources.part/half.c"):
        (tmp_path / leftover).parent.mkdir(parents=True)
        (tmp_path / leftover).write_bytes(b"old")
    extract_sources(package(TREE), LAYOUT, tmp_path)
    assert not any(path.endswith(("old.c", "half.c")) for path in written(tmp_path))
    assert (tmp_path / ROOT / "Makefile").is_file()


@pytest.mark.parametrize("given", [None, "usr/src/debug/kernel-5.14/linux-5.14-9.el9"])
def test_plain_files_keep_their_paths(tmp_path: Path, given: str | None) -> None:
    root = "usr/src/debug/kernel-5.14/linux-5.14-9.el9"
    layout = Layout(
        vmlinux=re.compile("-"),
        modules=re.compile("-"),
        source_files=re.compile("usr/src/debug/.+"),
        source_root=given,
    )
    members: list[Member] = [
        ("./usr/src/debug/kernel-5.14/generated.c", b""),
        (f"./{root}/kernel/panic.c", b"panic"),
        (f"./{root}/arch/x86/linux-boot/setup.c", b"boot"),
        link(f"./{root}/kernel/link.c", "panic.c"),
        ("./usr/share/doc/copyright", b"GPL-2"),
    ]
    tree = extract_sources(Bytes(deb(members)), layout, tmp_path)
    assert tree is not None and tree.path == root
    assert written(tmp_path) == {f"{root}/kernel/panic.c", f"{root}/arch/x86/linux-boot/setup.c"}


def test_stop_leaves_nothing(tmp_path: Path) -> None:
    reads = itertools.count()
    many: list[Member] = [(f"top/{number}.c", bytes([number % 251] * 9)) for number in range(9000)]
    assert (
        extract_sources(package(many, "", ""), LAYOUT, tmp_path, stop=lambda: next(reads) > 5)
        is None
    )
    assert written(tmp_path) == set()


@pytest.mark.parametrize(
    ("tree", "code"),
    [
        ([], "package-corrupt"),
        ([("one/a.c", b""), ("two/b.c", b"")], "package-unsafe"),
        ([("a.c", b"")], "package-unsafe"),
        ([("top/a.c", b""), ("top/../../b.c", b"")], "package-unsafe"),
        ([("top/a.c", b""), link("top/null", "", tarfile.CHRTYPE)], "package-unsafe"),
    ],
    ids=["empty", "two tops", "no top", "parent", "device"],
)
def test_refuses_odd_trees(tmp_path: Path, tree: list[Member], code: str) -> None:
    with pytest.raises(Refused) as refused:
        extract_sources(package(tree), LAYOUT, tmp_path)
    assert refused.value.code == code
    assert written(tmp_path) == set()


def test_refuses_a_package_without_source_archive(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="no sources"):
        extract_sources(Bytes(deb([("./usr/share/doc/a", b"")])), LAYOUT, tmp_path)


def test_refuses_a_broken_tarball(tmp_path: Path) -> None:
    broken = deb([(f"./{ROOT}.tar.xz", COMPRESSIONS[".xz"](tar(TREE))[:-500])])
    with pytest.raises(Refused) as refused:
        extract_sources(Bytes(broken), LAYOUT, tmp_path)
    assert refused.value.code == "package-corrupt"
    assert written(tmp_path) == set()


def test_says_when_the_tree_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "usr").write_bytes(b"")
    with pytest.raises(Unusable) as unusable:
        extract_sources(package(TREE), LAYOUT, tmp_path)
    assert unusable.value.code == "store-unwritable"


TOP = "linux-aws-6.1.0"
ORIG: list[Member] = [
    (f"{TOP}.orig/kernel/fork.c", b"int fork;\n"),
    link(f"{TOP}.orig/escape", "/"),
]
CHANGES = diff(TOP, {"kernel/fork.c": b"int fork;\n"}, {"kernel/fork.c": b"int vfork;\n"})


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_source_package_is_its_tarball_with_the_diff(tmp_path: Path, suffix: str) -> None:
    tarball = Bytes(COMPRESSIONS[suffix](tar(ORIG)))
    assert extract_sources(tarball, LAYOUT, tmp_path) == SourceTree(path=ROOT, files=1, size=10)
    changes = Bytes(gzip.compress(CHANGES))
    tree = extract_sources(tarball, LAYOUT, tmp_path, diff=changes)
    assert tree == SourceTree(path=ROOT, files=1, size=11)
    assert written(tmp_path) == {f"{ROOT}/kernel/fork.c"}
    assert (tmp_path / ROOT / "kernel/fork.c").read_bytes() == b"int vfork;\n"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        (b"", "package-corrupt"),
        (b"not gzip", "package-corrupt"),
        (gzip.compress(CHANGES)[:-9], "package-corrupt"),
        (gzip.compress(CHANGES.replace(b"-int fork", b"-int spoon")), "diff-mismatch"),
        (gzip.compress(CHANGES + bytes(9 << 20)), "package-unsafe"),
        (gzip.compress(CHANGES.replace(b"kernel/", b"../kernel/")), "package-unsafe"),
    ],
    ids=["empty", "not packed", "cut off", "other lines", "endless line", "outside"],
)
def test_a_diff_that_cannot_be_applied_leaves_nothing(
    tmp_path: Path, changes: bytes, code: str
) -> None:
    tarball = Bytes(gzip.compress(tar(ORIG)))
    with pytest.raises(Refused) as refused:
        extract_sources(tarball, LAYOUT, tmp_path, diff=Bytes(changes))
    assert refused.value.code == code
    assert written(tmp_path) == set()


def test_a_diff_that_unpacks_to_absurdly_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allowance, "MOST_BYTES_OF_ANY_PACKAGE", 1 << 16)
    changes = gzip.compress(CHANGES + b"x\n" * (1 << 20))
    with pytest.raises(Refused, match="unpack to"):
        extract_sources(Bytes(gzip.compress(tar(ORIG))), LAYOUT, tmp_path, diff=Bytes(changes))
    assert written(tmp_path) == set()


def test_a_file_added_where_the_tarball_has_a_link_stays_inside(tmp_path: Path) -> None:
    changes = gzip.compress(diff(TOP, {}, {"escape/tmp/x.c": b"x\n"}))
    extract_sources(Bytes(gzip.compress(tar(ORIG))), LAYOUT, tmp_path, diff=Bytes(changes))
    assert written(tmp_path) == {f"{ROOT}/kernel/fork.c", f"{ROOT}/escape/tmp/x.c"}


def test_stop_in_the_diff_leaves_nothing(tmp_path: Path) -> None:
    many = {f"new/{number}.c": b"x\n" for number in range(9)}
    changes = Bytes(gzip.compress(diff(TOP, {}, many)))
    made = tmp_path / ".sources.part" / ROOT / "kernel/fork.c"
    tarball = Bytes(gzip.compress(tar(ORIG)))
    assert extract_sources(tarball, LAYOUT, tmp_path, diff=changes, stop=made.exists) is None
    assert written(tmp_path) == set()
