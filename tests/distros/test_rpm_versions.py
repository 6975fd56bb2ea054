"""The order of versions: librpm's own examples, and that it is an order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernsym.distros.formats.rpm_versions import edition_key, version_key

# Each line is in order, oldest first; after librpm's tests/rpmvercmp.at and kernel releases.
LINES = [
    "1.0 2.0 2.0.1 2.0.1a 10",
    "5.5p1 5.5p2 5.5p10",
    "xyz10 10xyz 10.1xyz",
    "xyz.4 8",
    "1.0~rc1~git123 1.0~rc1 1.0~rc2 1.0",
    "1.0 1.0^ 1.0^git1 1.0^git2 1.01",
    "1.0^20160101 1.0^20160101^git1 1.0.1",
    "1.0~rc1 1.0~rc1^git1 1.0",
    "1.0^git1~pre 1.0^git1",
    "553.el8 553.el8_10 553.1.1.el8_10 553.5.1.el8_10 553.16.1.el8_10 554.el8",
    "150300.59.60.1 150300.59.60.4 150300.59.60.12 150300.59.63.1",
]
EQUAL = ["1.0 1.0", "2_0 2.0", "2.0 2..0", "007 7", "a+ a_", "1. 1", "٣ 三"]
VERSIONS = st.text("019aAz.~^_-+", max_size=12)


@pytest.mark.parametrize("line", LINES)
def test_order(line: str) -> None:
    words = line.split()
    words_back = [*reversed(words)]
    assert sorted(words_back, key=version_key) == words
    assert len({version_key(word) for word in words}) == len(words)


@pytest.mark.parametrize("line", EQUAL)
def test_equal(line: str) -> None:
    first, second = line.split()
    assert version_key(first) == version_key(second)


def test_the_epoch_goes_first_then_the_version() -> None:
    editions = [(1, "2", "2"), (1, "2", "1"), (1, "1", "9"), (0, "9", "9")]
    oldest = sorted(editions, key=lambda edition: edition_key(*edition))
    assert oldest == [*reversed(editions)]


@given(VERSIONS, VERSIONS)
def test_as_rpm_walks_two_versions(one: str, two: str) -> None:
    key = (version_key(one) > version_key(two)) - (version_key(one) < version_key(two))
    assert key == walk(one, two)


def walk(one: str, two: str) -> int:
    """The comparison told another way: mark by mark, as rpm's documentation describes it."""
    first, second = words_of(one), words_of(two)
    for left, right in itertools.zip_longest(first, second):
        if left == right:
            continue
        for mark, found in (("~", -1), (None, -1), ("^", -1)):
            if left == mark:
                return found
            if right == mark:
                return -found
        if left.isdigit() != right.isdigit():
            return 1 if left.isdigit() else -1
        if left.isdigit() and int(left) == int(right):
            continue
        older = int(left) < int(right) if left.isdigit() else left < right
        return -1 if older else 1
    return 0


def words_of(text: str) -> list[str]:
    kinds = itertools.groupby(text, key=lambda c: (c.isdigit(), c.isalpha(), c in "~^"))
    words = []
    for (digit, letter, mark), group in kinds:
        if digit or letter:
            words.append("".join(group))
        elif mark:
            words += list(group)
    return words
