"""The bundled world in a store, brought there once for all tests that only read it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from tests.conftest import KERNEL, WORLD, write_config
from tests.upstream import UpstreamServer


def fill_with_world(store: Path, folder: Path) -> None:
    """The kernel with all its modules and its sources."""
    with UpstreamServer(WORLD / "repo") as server:
        config = write_config(folder / "world.toml", server.url)
        command = ["fetch", "--all-modules", "--sources", "--no-progress", f"--store={store}"]
        subprocess.run(
            [sys.executable, "-m", "kernsym.client", *command, WORLD / "vmcore"],
            env={**os.environ, "KERNSYM_CONFIG": str(config)},
            capture_output=True,
            check=True,
            timeout=120,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The kernel of the world as a store holds it in `folder`."""

    folder: Path
    bundle: Bundle

    @property
    def vmlinux(self) -> BundleFile:
        return self._first(FileRole.VMLINUX)

    @property
    def sources(self) -> Path:
        return self.folder / self._first(FileRole.SOURCE_TREE).path

    def module(self, name: str) -> BundleFile:
        return self.bundle.modules()[name][0]

    def content(self, file: BundleFile) -> bytes:
        return (self.folder / file.path).read_bytes()

    def _first(self, role: FileRole) -> BundleFile:
        return next(filter(None, [self.bundle.first(role)]))


def read_world(root: Path) -> World:
    store = Store(root)
    try:
        bundle = next(filter(None, [store.bundle(KERNEL)]))
        return World(folder=store.folder(KERNEL), bundle=bundle)
    finally:
        store.close()
