"""Applies the unified diff of a Debian source package to its tree, strictly: every file inside the
tree, every hunk at its very line, every old line as it stands there."""

from __future__ import annotations

import io
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from kernsym.distros import Refused
from kernsym.server.disk import writing
from kernsym.server.unpack.allowance import unsafe
from kernsym.server.unpack.members import safe_path

_LONGEST_LINE = 4 << 20
_LARGEST_FILE = 256 << 20  # the largest header of the kernel has 24 MB
_SPAN = rb"([0-9]{1,9})(?:,([0-9]{1,9}))?"
_HUNK = re.compile(rb"@@ -" + _SPAN + rb" \+" + _SPAN + rb" @@")
_NO_NEWLINE = b"\\"


def apply_diff(blocks: Iterable[memoryview], top: Path) -> tuple[int, int]:
    """Changes the tree at `top`, which holds files and folders alone, no links; how many files
    were added, and by how many bytes it grew.

    What stands between files and is no hunk (`diff -u ...`, `Binary files ... differ`) is passed
    over: a tree for people to read can do without.  Nothing is ever removed: format 1.0 cannot.
    Raises `Refused`: `diff-mismatch` for what does not fit the tree, `package-unsafe` for a path
    that leads out of it or for absurd sizes.  The tree is of no use then.
    """
    diff = _Lines(blocks)
    changed: set[str] = set()
    added = growth = 0
    dated = top.stat().st_mtime  # what is added is as old as the tree
    while (line := diff.next()) is not None:
        if line.startswith(b"--- "):
            path = _path(line, diff.next())
            if path in changed:
                raise _mismatch(f"it changes {path!r} twice")
            changed.add(path)
            grown, new = _change_file(diff, path, top, dated)
            added += new
            growth += grown
        elif line.startswith((b"+", b"-", b" ", b"@@", _NO_NEWLINE)):
            raise _mismatch(f"{line[:60]!r} belongs to no hunk")
    return added, growth


class _Lines:
    """The lines of a stream of blocks, with their ends, one looked ahead at."""

    def __init__(self, blocks: Iterable[memoryview]) -> None:
        self._lines = _lines(blocks)
        self._ahead = next(self._lines, None)

    def next(self) -> bytes | None:
        line, self._ahead = self._ahead, next(self._lines, None)
        return line

    def begins(self, start: bytes) -> bool:
        """Whether the next line begins so."""
        return self._ahead is not None and self._ahead.startswith(start)


def _lines(blocks: Iterable[memoryview]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if len(rest) > _LONGEST_LINE:
            raise unsafe(f"a line of its diff has more than {_LONGEST_LINE} bytes")
    if rest:
        yield rest


def _path(old: bytes, new: bytes | None) -> str:
    """The path in the tree that both names of a file mean: each without its first folder."""
    if new is None or not new.startswith(b"+++ "):
        raise _mismatch(f"{old[:60]!r} has no second name")
    paths = []
    for line in (old, new):
        name = line[4:].rstrip(b"\r\n").split(b"\t", 1)[0]
        path = safe_path(os.fsdecode(name)).partition("/")[2]
        if not path:
            raise _mismatch(f"{line[:60]!r} names no file of the tree")
        paths.append(path)
    if paths[0] != paths[1]:
        raise _mismatch(f"it renames {paths[0]!r} to {paths[1]!r}")
    return paths[0]


def _change_file(diff: _Lines, path: str, top: Path, dated: float) -> tuple[int, bool]:
    """Applies the hunks of one file; by how many bytes it grew, and whether it is new."""
    place = top / path
    state = _state(place, path, top)
    if state is not None and state.st_size > _LARGEST_FILE:
        raise unsafe(f"its diff changes {path!r} of {state.st_size} bytes")
    with writing(place):
        before = place.read_bytes() if state else b""
    size = 0
    after = []
    for line in _after(diff, io.BytesIO(before).readlines(), path):
        after.append(line)
        size += len(line)
        if size > _LARGEST_FILE:
            raise unsafe(f"its diff makes {path!r} larger than {_LARGEST_FILE} bytes")
    with writing(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(b"".join(after))
        # gdb warns of sources newer than their vmlinux
        os.utime(place, (state.st_mtime if state else dated,) * 2)
    return size - len(before), state is None


def _state(place: Path, path: str, top: Path) -> os.stat_result | None:
    """The state of the file to be changed, None where one is to be added."""
    folders = (top.joinpath(folder) for folder in Path(path).parents)
    for folder in folders:
        if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
            raise unsafe(f"its diff leads through {folder.name!r}, which is no folder")
    if not os.path.lexists(place):
        return None
    state = place.lstat()
    if not stat.S_ISREG(state.st_mode):
        raise unsafe(f"its diff changes {path!r}, which is no file")
    return state


def _after(diff: _Lines, before: Sequence[bytes], path: str) -> Iterator[bytes]:
    """The lines of a file after the hunks that come next."""
    at = written = 0  # lines taken, and lines given
    if not diff.begins(b"@@ "):
        raise _mismatch(f"{path!r} has no hunk")
    while diff.begins(b"@@ "):
        hunk = _hunk(diff.next() or b"", path)
        if not at <= hunk.old_start <= len(before):
            raise _mismatch(f"a hunk is not in line {hunk.old_start + 1} of {path!r}")
        yield from before[at : hunk.old_start]
        written += hunk.old_start - at
        at = hunk.old_start
        if written != hunk.new_start:
            raise _mismatch(f"the line numbers of a hunk of {path!r} contradict each other")
        olds, news = at + hunk.old_lines, written + hunk.new_lines
        while at < olds or written < news:
            mark, text = _hunk_line(diff, path)
            if mark != b"+":
                if at >= min(olds, len(before)) or before[at] != text:
                    raise _mismatch(f"line {at + 1} of {path!r} is not what it should be")
                at += 1
            if mark != b"-":
                if written >= news:
                    raise _mismatch(f"a hunk of {path!r} has more lines than it says")
                written += 1
                yield text
    yield from before[at:]


class _Hunk(NamedTuple):
    """How many lines come before it, and how many it has, of the old file and the new."""

    old_start: int
    old_lines: int
    new_start: int
    new_lines: int


def _hunk(line: bytes, path: str) -> _Hunk:
    found = _HUNK.match(line)
    if found is None:
        raise _mismatch(f"a hunk of {path!r} begins with {line[:60]!r}")
    old, old_lines, new, new_lines = (int(number or 1) for number in found.groups())
    # The number is that of its first line, or where it has none, of the line before.
    return _Hunk(old - bool(old_lines), old_lines, new - bool(new_lines), new_lines)


def _hunk_line(diff: _Lines, path: str) -> tuple[bytes, bytes]:
    """The mark of a hunk's next line, and its text as it stands in the file."""
    line = diff.next() or b""
    if not line.startswith((b" ", b"+", b"-")):
        raise _mismatch(f"a hunk of {path!r} ends early: {line[:60]!r}")
    text = line[1:]
    if diff.begins(_NO_NEWLINE):
        diff.next()
        text = text.removesuffix(b"\n")
    return line[:1], text


def _mismatch(what: str) -> Refused:
    return Refused("diff-mismatch", f"the diff does not fit the source tree: {what}")
