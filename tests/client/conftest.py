"""The bundled world's kernel in a store, fetched once for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from kernsym.cache import Bundle, FileRole, Store
from tests.conftest import KERNEL, WORLD, Kernsym, write_config
from tests.upstream import UpstreamServer


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldKernel:
    """What is held of the world's kernel, and the kernel's folder."""

    bundle: Bundle
    folder: Path

    @property
    def vmlinux(self) -> Path:
        file = self.bundle.first(FileRole.VMLINUX)
        assert file is not None
        return self.folder / file.path


@pytest.fixture(scope="session")
def world_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorldKernel]:
    home = tmp_path_factory.mktemp("world")
    with UpstreamServer(WORLD / "repo") as mirror:
        environment = {
            "HOME": str(home),
            "KERNSYM_STORE": str(home / "store"),
            "KERNSYM_CONFIG": str(write_config(home / "kernsym.toml", mirror.url)),
        }
        Kernsym(home=home, environment=environment)("fetch", WORLD / "vmcore")
    with closing(Store(home / "store")) as store:
        bundle = store.bundle(KERNEL)
        assert bundle is not None
        yield WorldKernel(bundle=bundle, folder=store.folder(KERNEL))
