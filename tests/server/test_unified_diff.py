"""The diff of a Debian source package: what it makes of a tree, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros import Refused
from kernsym.server.unpack import unified_diff
from kernsym.server.unpack.unified_diff import apply_diff
from tests.server.unpacking import written
from tests.source_package_writer import Tree, diff, file_diff

LONG = b"".join(b"line %d\n" % number for number in range(60))
MAIN = "linux/init/main.c"


def write(folder: Path, tree: Tree) -> Path:
    for path, body in tree.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
    return folder


def read(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in written(folder)}


def apply(text: bytes, top: Path, step: int = 7) -> tuple[int, int]:
    return apply_diff((memoryview(text[at:][:step]) for at in range(0, len(text), step)), top)


def hunk(*lines: str, at: str = "-1 +1", old: str = "a/init/main.c", new: str = MAIN) -> bytes:
    return "\n".join((f"--- {old}", f"+++ {new}", f"@@ {at} @@", *lines, "")).encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"one\ntwo\n", b"one\n2\n"),
        (LONG, LONG.replace(b"line 3\n", b"").replace(b"line 50\n", b"x\ny\n")),
        (b"no end", b"no end\n"),
        (b"an end\n", b"an end"),
        (b"a\nb", b"a\nc"),
        (b"", b"new\n"),
        (b"all\n", b""),
        (b"-- a\n++ b\n@@ -1 +1 @@\n", b"-- b\n++ c\n\\ x\n"),
        (b"form\x0cfeed\rreturn\n\xff\xfe\n", b"form\x0cfeed\rreturn\n\xff\n"),
    ],
)
def test_a_file_is_changed(tmp_path: Path, before: bytes, after: bytes) -> None:
    write(tmp_path, {"init/main.c": before, "other.c": LONG})
    text = diff("linux-aws-5.15.0", {"init/main.c": before}, {"init/main.c": after})
    assert apply(text, tmp_path) == (0, len(after) - len(before))
    assert read(tmp_path) == {"init/main.c": after, "other.c": LONG}


_CONTENT = st.lists(st.sampled_from([b"a", b"b", b"c", b"\n"]), max_size=30).map(b"".join)


@given(before=_CONTENT, after=_CONTENT)
def test_what_was_compared_is_made(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes
) -> None:
    top = write(tmp_path_factory.mktemp("tree"), {"f": before})
    apply(diff("x", {"f": before}, {"f": after}), top)
    assert read(top) == {"f": after}


def test_files_are_added_and_as_old_as_the_tree(tmp_path: Path) -> None:
    write(tmp_path, {"init/main.c": b"a\n"})
    os.utime(tmp_path / "init/main.c", (1_000, 1_000))
    os.utime(tmp_path, (2_000, 2_000))
    text = diff("x", {"init/main.c": b"a\n"}, {"init/main.c": b"b\n", "ubuntu/new/x.c": b"new\n"})
    text = b"diff -u a b\n" + text + b"Binary files a/logo.png and b/logo.png differ\n"
    assert apply(text, tmp_path) == (1, 4)
    assert read(tmp_path) == {"init/main.c": b"b\n", "ubuntu/new/x.c": b"new\n"}
    assert (tmp_path / "init/main.c").stat().st_mtime == 1_000
    assert (tmp_path / "ubuntu/new/x.c").stat().st_mtime == 2_000


HOSTILE = {
    "parent": (hunk("-a", "+b", old="a/../../out", new="b/../../out"), "package-unsafe"),
    "absolute": (hunk("-a", "+b", old="/etc/passwd", new="/etc/passwd"), "package-unsafe"),
    "no folder before it": (hunk("-a", "+b", old="out", new="out"), "diff-mismatch"),
    "a link": (hunk("-a", "+b", old="a/link", new="b/link"), "package-unsafe"),
    "below a link": (hunk("+b", at="-0,0 +1", old="a/up/x", new="b/up/x"), "package-unsafe"),
    "below a file": (
        hunk("+b", at="-0,0 +1", old="a/init/main.c/x", new="b/init/main.c/x"),
        "package-unsafe",
    ),
    "a folder": (hunk("+b", at="-0,0 +1", old="a/init", new="b/init"), "package-unsafe"),
    "two names": (hunk("-a", "+b", new="linux/init/other.c"), "diff-mismatch"),
    "removed": (hunk("-a", at="-1 +0,0", new="/dev/null"), "package-unsafe"),
    "one name": (b"--- a/init/main.c\n@@ -1 +1 @@\n-a\n+b\n", "diff-mismatch"),
    "no hunk": (b"--- a/init/main.c\n+++ b/init/main.c\n", "diff-mismatch"),
    "other context": (hunk(" x", "+b", at="-1 +1,2"), "diff-mismatch"),
    "other old line": (hunk("-x", "+b"), "diff-mismatch"),
    "other place": (hunk("-a", "+b", at="-2 +2"), "diff-mismatch"),
    "place after the end": (hunk("-a", "+b", at="-9 +9"), "diff-mismatch"),
    "place before the last": (
        hunk("-a", "+b", "@@ -1 +1 @@", "-b", "+c"),
        "diff-mismatch",
    ),
    "numbers that contradict": (hunk("-a", "+b", at="-1 +7"), "diff-mismatch"),
    "more old lines than said": (hunk("-a", "-b", "+c"), "diff-mismatch"),
    "more new lines than said": (hunk("-a", "+b", "+c"), "diff-mismatch"),
    "cut off": (hunk("-a", at="-1 +1"), "diff-mismatch"),
    "not a hunk": (hunk("-a", "+b", at="-1,x +1"), "diff-mismatch"),
    "a file that is not there": (hunk("-a", "+b", old="a/no", new="b/no"), "diff-mismatch"),
    "twice": (hunk("-a", "+b") + hunk("-b", "+c"), "diff-mismatch"),
    "zero byte": (hunk("-a", "+b", old="a/x\0", new="a/x\0"), "package-unsafe"),
}


@pytest.mark.parametrize(("text", "code"), HOSTILE.values(), ids=HOSTILE)
def test_what_does_not_fit_is_refused(tmp_path: Path, text: bytes, code: str) -> None:
    top = write(tmp_path / "top", {"init/main.c": b"a\nb\n"})
    (top / "link").symlink_to(tmp_path / "out")
    (top / "up").symlink_to(tmp_path)
    (tmp_path / "out").write_bytes(b"a\n")
    with pytest.raises(Refused) as refused:
        apply(text, top)
    assert refused.value.code == code
    assert (tmp_path / "out").read_bytes() == b"a\n"
    assert written(tmp_path) == {"out", "top/init/main.c", "top/link"}


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    endless = iter(lambda: memoryview(bytes(1 << 20)), None)
    with pytest.raises(Refused, match="a line of its diff"):
        apply_diff(endless, tmp_path)


def test_a_file_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unified_diff, "_LARGEST_FILE", 1_000)
    text = diff("x", {}, {"big.c": b"0123456789\n" * 100})
    with pytest.raises(Refused, match="larger than"):
        apply(text, tmp_path)
    write(tmp_path, {"big.c": b"0123456789\n" * 100})
    text = file_diff("x.orig/big.c", "x/big.c", b"0123456789\n" * 100, b"a\n")
    with pytest.raises(Refused, match="of 1100 bytes"):
        apply(text, tmp_path)
