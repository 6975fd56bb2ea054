"""What several tests of the server stand on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.cache import Store
from tests.live_server import LiveServer, live_server
from tests.server.bringing import CONTENT, NAME
from tests.server.world_store import World, fill_with_world, read_world
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


@pytest.fixture(scope="session")
def world_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose `store` holds the bundled world, for tests that only read it."""
    home = tmp_path_factory.mktemp("world")
    fill_with_world(home / "store", home)
    return home


@pytest.fixture(scope="session")
def world_server(world_home: Path) -> Iterator[LiveServer]:
    """A server process on the world."""
    with live_server(world_home) as server:
        yield server


@pytest.fixture(scope="session")
def world(world_home: Path) -> World:
    """What the world's store holds."""
    return read_world(world_home / "store")


@pytest.fixture
def small_indexes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is far apart in a package of a GB is near in these."""
    monkeypatch.setattr("kernsym.server.unpack.entering.points._APART", 400_000)
    monkeypatch.setattr("kernsym.server.unpack.entering.points._WINDOWS_APART", 1)
    monkeypatch.setattr("kernsym.server.unpack.entering.gzip_points._APART", 400_000)
    monkeypatch.setattr("kernsym.server.unpack.entering.points._LESSONS", 2)
    monkeypatch.setattr("kernsym.server.unpack.entering.repack._FRAME", 300_000)
    monkeypatch.setattr("kernsym.server.unpack.codecs.ahead._MEMORY_OF_PIECES", 300_000)
    monkeypatch.setattr("kernsym.server.unpack.entering.index_file._BEGINNING", 4096)
    monkeypatch.setattr("kernsym.server.unpack.entering.index_file._LEAST_ROOM", 0)
