"""The index of files: right after every change, and as good as new after every damage."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, BundleFile, FileRole, Store
from kernsym.distros import Kernel
from tests.cache.test_store import BANNER, KERNEL, bundle

VMLINUX = "aa" * 20
EXT4 = "bb" * 20
OTHER = replace(KERNEL, version="6.1.7-2")


def file(path: str, role: FileRole, build_id: str | None = None) -> BundleFile:
    name = Path(path).stem if role is FileRole.MODULE else ""
    digest = f"{len(path):064x}"
    return BundleFile(
        role=role, path=path, size=7, sha256=digest, package="p.deb", name=name, build_id=build_id
    )


FILES = (
    file("root/usr/lib/debug/vmlinux", FileRole.VMLINUX, VMLINUX),
    file("root/usr/lib/debug/ext4.ko", FileRole.MODULE, EXT4),
    file("root/usr/lib/debug/System.map", FileRole.SYSTEM_MAP),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store")) as store:
        yield store


def publish(store: Store, *files: BundleFile, kernel: Kernel = KERNEL) -> Bundle:
    for one in files:
        path = store.folder(kernel) / one.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.path)
    return store.publish(replace(bundle(*files), kernel=kernel))


def database(store: Store) -> Path:
    (path,) = (store.root / "index").glob("files-*.db")
    return path


def assert_all_is_known(store: Store, published: Bundle) -> None:
    """By the index alone: no links, no look at other manifests."""
    for one in published.files:
        if one.build_id:
            found = store.files.find(one.build_id)
            assert found is not None
            assert (found.key, found.file) == (published.kernel.key, one)
    assert store.files.keys_of_banner(BANNER) == (published.kernel.key,)
    assert [kernel.key for kernel in store.files.kernels()] == [published.kernel.key]


def test_what_is_published_is_indexed_and_what_is_removed_is_not(store: Store) -> None:
    published = publish(store, *FILES)
    assert_all_is_known(store, published)
    (kernel,) = store.files.kernels()
    assert (kernel.banner, kernel.build_id, kernel.files, kernel.size) == (BANNER, VMLINUX, 3, 21)
    store.remove(published)
    assert store.files.find(EXT4) is None
    assert store.files.keys_of_banner(BANNER) == ()
    assert store.files.kernels() == ()


def test_a_further_publication_adds_to_the_index(store: Store) -> None:
    publish(store, FILES[0])
    assert_all_is_known(store, publish(store, FILES[1]))


def test_of_a_split_pair_the_half_with_the_dwarf_is_found(store: Store) -> None:
    stripped = file("root/boot/vmlinux", FileRole.STRIPPED, VMLINUX)
    for files in ((stripped, FILES[0]), (FILES[0], stripped)):
        publish(store, *files)
        found = store.files.find(VMLINUX)
        assert found is not None and found.file.role is FileRole.VMLINUX


def test_kernels_come_in_pages(store: Store) -> None:
    for number in range(5):
        publish(store, *FILES, kernel=replace(KERNEL, version=f"6.1.7-{number}"))
    first = store.files.kernels(limit=2)
    second = store.files.kernels(after=first[-1].key, limit=10)
    assert [kernel.key[-1] for kernel in (*first, *second)] == list("01234")


def test_a_look_up_reads_no_manifest(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store, *FILES)
    monkeypatch.setattr("kernsym.cache.manifests.decode", None)
    held = store.find_build_id(EXT4)
    assert held is not None and held.file == FILES[1]
    assert held.path.read_text() == FILES[1].path


def test_rows_of_an_older_manifest_are_not_believed(store: Store) -> None:
    """As a process leaves it that was killed between the manifest and the index."""
    old = publish(store, *FILES)
    moved = replace(FILES[1], path="root/usr/lib/debug/moved/ext4.ko")
    published = publish(store, FILES[0], moved)
    published = replace(published, files=(FILES[0], moved))
    store.files.put(old, "another stamp")
    held = store.find_build_id(EXT4)
    assert held is not None and held.file.path == moved.path
    assert store.find_build_id(VMLINUX) is not None


def test_rows_of_a_kernel_that_is_gone_are_not_believed(store: Store) -> None:
    published = publish(store, *FILES)
    found = store.files.find(EXT4)
    assert found is not None
    store.remove(published)
    store.files.put(published, found.stamp)
    assert store.find_build_id(EXT4) is None
    assert store.files.kernels() == (), "it must not be asked again"


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"garbage " * 10_000),
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"garbage " * 10_000),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: path.write_bytes(b""),
        lambda path: path.unlink(),
    ],
    ids=["garbage", "garbage after the magic", "cut", "empty", "missing"],
)
@pytest.mark.parametrize("reopened", [False, True], ids=["running", "before the start"])
def test_a_damaged_index_loses_nothing(
    store: Store, damage: Callable[[Path], None], reopened: bool
) -> None:
    published = publish(store, *FILES)
    store.mend_index()
    if reopened:
        store.close()
    damage(database(store))
    with closing(Store(store.root)) as again:
        # At once, by the links and manifests; the running store may still see what it had read.
        for one in (again, *(() if reopened else (store,))):
            held = one.find_build_id(EXT4)
            assert held is not None and held.bundle == published
            assert one.find_banner(BANNER) == (published,)
        again.mend_index()
        assert again.files.complete
        assert_all_is_known(again, published)
        if not reopened:
            more = publish(store, file("root/usr/lib/debug/xfs.ko", FileRole.MODULE, "cc" * 20))
            assert_all_is_known(again, more)
    assert database(store).is_file(), "one database remains"


def test_an_index_of_another_schema_is_made_anew(store: Store) -> None:
    published = publish(store, *FILES)
    store.close()
    with closing(sqlite3.connect(database(store))) as other:
        other.execute("PRAGMA user_version = 99")
    with closing(Store(store.root)) as again:
        assert not again.files.complete
        again.mend_index()
        assert_all_is_known(again, published)


def test_mending_finds_what_was_left_out_and_drops_what_is_gone(store: Store) -> None:
    published = publish(store, *FILES)
    store.files.drop(KERNEL.key)
    store.files.put(replace(published, kernel=OTHER), "a stamp")
    assert not store.files.complete
    store.mend_index()
    assert store.files.complete
    assert_all_is_known(store, published)


def test_mending_reads_only_what_changed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(store, *FILES)
    monkeypatch.setattr("kernsym.cache.store.read_manifest", None)
    store.mend_index()
    assert store.files.complete


def test_an_unknown_banner_is_not_looked_for_in_every_manifest(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(store, *FILES)
    store.mend_index()
    monkeypatch.setattr("kernsym.cache.store.read_manifest", None)
    assert store.find_banner(BANNER + "x") == ()


def test_without_a_usable_index_the_store_serves_what_it_has(store: Store) -> None:
    published = publish(store, *FILES)
    store.close()
    database(store).unlink()
    for path in (store.root / "index").iterdir():
        if path.is_file():
            path.unlink()
    (store.root / "index").rmdir()
    (store.root / "index").symlink_to("/proc")  # where nobody can make a file
    with closing(Store(store.root)) as again:
        held = again.find_build_id(EXT4)
        assert held is not None and held.bundle == published
        assert again.find_banner(BANNER) == (published,)
        again.mend_index()
        assert not again.files.complete


def _damage_and_look_up(root: Path) -> None:
    with closing(Store(root)) as store:
        for _ in range(20):
            held = store.find_build_id(EXT4)
            assert held is not None
        store.mend_index()
        assert store.files.complete


def test_processes_that_meet_a_damage_together_agree(store: Store) -> None:
    published = publish(store, *FILES)
    store.close()
    database(store).write_bytes(b"garbage " * 1000)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_damage_and_look_up, args=(store.root,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with closing(Store(store.root)) as again:
        assert_all_is_known(again, published)
