"""The order of RPM's versions, as rpmvercmp of librpm defines it."""

from __future__ import annotations

import re

_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")

Segment = tuple[int, int, str]
Edition = tuple[int, tuple[Segment, ...], tuple[Segment, ...]]
_TILDE, _END, _CARET, _LETTERS, _NUMBER = range(5)
_MARKS = {"~": _TILDE, "^": _CARET}


def version_key(text: str) -> tuple[Segment, ...]:
    """A key that sorts versions, or releases, oldest first.

    Separators do not count, numbers are newer than letters, `~` is older than the end of the
    text, `^` newer than that but older than anything else.

    >>> sorted(["1.0^git1", "1.0.1", "1.0", "1.0~rc1"], key=version_key)
    ['1.0~rc1', '1.0', '1.0^git1', '1.0.1']
    """
    return (*(_segment(word) for word in _SEGMENT.findall(text)), (_END, 0, ""))


def _segment(word: str) -> Segment:
    if word in _MARKS:
        return _MARKS[word], 0, ""
    if word.isdigit():
        digits = word.lstrip("0")
        return _NUMBER, len(digits), digits
    return _LETTERS, 0, word


def edition_key(epoch: int, version: str, release: str) -> Edition:
    """A key that sorts packages of one name, oldest first."""
    return epoch, version_key(version), version_key(release)
