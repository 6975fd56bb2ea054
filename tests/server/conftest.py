"""What several tests of the server stand on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.cache import Store
from tests.server.bringing import CONTENT, NAME
from tests.upstream import UpstreamServer


@pytest.fixture
def package_mirror(tmp_path: Path) -> Iterator[UpstreamServer]:
    root = tmp_path / "mirror"
    root.mkdir()
    (root / NAME).write_bytes(CONTENT)
    with UpstreamServer(root) as server:
        yield server


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "store" / "packages" / NAME


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with contextlib.closing(Store(tmp_path / "store")) as opened:
        yield opened
