"""Copies of files that a server had not checked: when their mark goes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernsym.cache import Bundle, Unchecked
from kernsym.client.copying import _checked_since
from tests.live_server import bundle_of

BUNDLE = bundle_of(3)
MARK = Unchecked(
    package=BUNDLE.packages[0].package.id,
    paths=tuple(file.path for file in BUNDLE.files[:3]),
    came=1,
    size=2,
)
HERE = replace(BUNDLE, files=BUNDLE.files[:2], unchecked=(MARK,))
OTHER = replace(BUNDLE.files[1], sha256="1" * 64)


@pytest.mark.parametrize(
    ("theirs", "checked"),
    [
        (BUNDLE, [MARK.package]),
        (replace(BUNDLE, unchecked=(MARK,)), []),
        (replace(BUNDLE, files=(BUNDLE.files[0], OTHER, *BUNDLE.files[2:])), []),
        (replace(BUNDLE, files=BUNDLE.files[:1]), []),
    ],
)
def test_the_mark_goes_when_the_server_has_checked_the_very_files(
    theirs: Bundle, checked: list[str]
) -> None:
    assert _checked_since(HERE, theirs) == checked
