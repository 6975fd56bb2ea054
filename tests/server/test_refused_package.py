"""A package that turns out wrong at its very end leaves nothing behind for the next to inherit."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import FileRole, Store
from kernsym.distros import Fetch, Kernel, Package, PackageRef, Role, Source
from tests.server import small_distro as small
from tests.server.test_candidates import ask
from tests.upstream import UpstreamServer


def test_the_vmlinux_of_a_package_with_a_wrong_digest_does_not_vouch_for_the_next(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its vmlinux was the dump's, and no module is wanted: the digest is known after both."""
    for folder in ("first", "second"):
        small.publish_vmlinux(tmp_path / folder, "near", "near.example", 1)
    name = small.package("near").id
    digest = hashlib.sha256((tmp_path / "second" / name).read_bytes()).hexdigest()
    distro = small.distro("near", 1, (Role.DEBUGINFO,), certain=True)

    with UpstreamServer(tmp_path) as mirror:

        def both(
            package: Package, kernel: Kernel, source: Source, fetch: Fetch
        ) -> tuple[PackageRef, ...]:
            ref = PackageRef(package=package, url="", origin="mirror", why="a test")
            return (
                replace(ref, url=f"{mirror.url}/first/{name}", sha256="0" * 64),
                replace(ref, url=f"{mirror.url}/second/{name}", sha256=digest),
            )

        small.register(monkeypatch, replace(distro, locate_all=both))
        bundle, events = ask(store, small.fingerprint("near.example"), tmp_path)
    assert [event.stage for event in events if event.stage == "refused"] == ["refused"]
    vmlinux = bundle.first(FileRole.VMLINUX)
    assert vmlinux is not None
    assert (store.folder(bundle.kernel) / vmlinux.path).is_file()
    assert [ref.sha256 for ref in bundle.packages] == [digest]
    assert mirror.hits[f"/second/{name}"] == 1
