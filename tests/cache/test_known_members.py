"""Build IDs that are known though they are not held."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import FileRole, KnownKernel, Member, Store
from tests.cache.test_file_index import EXT4, FILES, VMLINUX, publish
from tests.cache.test_store import BANNER, KERNEL

XFS = "cc" * 20
KNOWN = KnownKernel(
    key=KERNEL.key, banner=BANNER, build_id=VMLINUX, modules={EXT4: "ext4"}, listed=("a.deb",)
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store")) as store:
        yield store


def member(module: str) -> Member:
    return Member(banner=BANNER, package="", kernel_build_id=VMLINUX, module=module)


def test_what_is_remembered_is_found(store: Store) -> None:
    assert store.known.find(EXT4) is None
    store.known.remember(KNOWN)
    assert store.known.find(EXT4) == member("ext4")
    assert store.known.find(VMLINUX) == member("")
    assert store.known.find(XFS) is None
    assert store.known.read(KERNEL.key) == KNOWN


def test_more_is_added_to_what_is_known(store: Store) -> None:
    store.known.remember(KNOWN)
    store.known.remember(replace(KNOWN, modules={XFS: "xfs"}, listed=("b.deb",)))
    known = store.known.read(KERNEL.key)
    assert known is not None and known.modules == {EXT4: "ext4", XFS: "xfs"}
    assert known.listed == ("a.deb", "b.deb")
    assert (store.known.find(EXT4), store.known.find(XFS)) == (member("ext4"), member("xfs"))


def test_another_build_of_the_same_name_replaces_it(store: Store) -> None:
    store.known.remember(KNOWN)
    store.known.remember(replace(KNOWN, banner="another", modules={XFS: "xfs"}))
    assert store.known.find(EXT4) is None
    found = store.known.find(XFS)
    assert found is not None and found.banner == "another"


def test_a_kernel_that_is_removed_stays_known(store: Store) -> None:
    published = publish(store, *FILES)
    assert store.known.find(EXT4) is None, "it is held"
    store.remove(published)
    assert store.known.find(EXT4) == member("ext4")
    assert store.known.find(VMLINUX) == member("")
    known = store.known.read(KERNEL.key)
    assert known is not None and known.listed == (), "of its package not every module was seen"


def test_its_index_is_made_again(store: Store) -> None:
    store.known.remember(KNOWN)
    store.close()
    for path in (store.root / "index").glob("known-*"):
        path.unlink()
    with closing(Store(store.root)) as again:
        assert again.known.find(EXT4) is None
        again.mend_index()
        assert again.known.find(EXT4) == member("ext4")


def test_only_modules_are_taken_from_a_manifest(store: Store) -> None:
    published = publish(store, *FILES, replace(FILES[0], role=FileRole.STRIPPED, path="root/b"))
    assert KnownKernel.of(published).modules == {EXT4: "ext4"}


def test_what_was_learned_of_a_package_and_of_its_kernel_is_put_together(store: Store) -> None:
    store.known.remember(
        KnownKernel(key=KERNEL.key, package="a.deb", modules={XFS: "xfs", VMLINUX: ""})
    )
    found = store.known.find(XFS)
    assert found == Member(banner="", package="a.deb", kernel_build_id=None, module="xfs")
    store.known.remember(KNOWN)
    for build_id, name in ((XFS, "xfs"), (EXT4, "ext4"), (VMLINUX, "")):
        found = store.known.find(build_id)
        assert found is not None
        assert (found.banner, found.package, found.module) == (BANNER, "a.deb", name)


def test_the_oldest_are_forgotten(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kernsym.cache.known_members._MOST_KERNELS", 10)
    for number in range(25):
        known = KnownKernel(key=f"debian/x86_64/6.1.0-{number}/1", build_id=f"{number:040x}")
        store.known.remember(known)
        path = store.root / f"known/debian,x86_64,6.1.0-{number},1.json"
        os.utime(path, (1000 + number, 1000 + number))
    kept = len(list((store.root / "known").iterdir()))
    assert 9 <= kept <= 10
    assert store.known.find(f"{24:040x}") is not None
    assert store.known.find(f"{3:040x}") is None
    assert store.known.read("debian/x86_64/6.1.0-3/1") is None
