"""Searching files by path, pattern and build ID."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kernsym.cache import FileRole, FileSearch, Store
from tests.cache.test_file_index import file, publish

DEBUG = "/usr/lib/debug"
MODULES = f"{DEBUG}/lib/modules/6.1.0-1-amd64/kernel"
PATHS = {
    f"{DEBUG}/vmlinux": "aa" * 20,
    f"{MODULES}/fs/ext4/ext4.ko": "bb" * 20,
    f"{MODULES}/fs/xfs/xfs.ko": "cc" * 20,
    f"{MODULES}/net/a[1]b.ko": "dd" * 20,
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store")) as store:
        publish(
            store,
            file(f"root{DEBUG}/System.map", FileRole.SYSTEM_MAP),
            *(file(f"root{path}", FileRole.MODULE, number) for path, number in PATHS.items()),
        )
        yield store


def search(store: Store, limit: int = 100, seconds: float = 20.0, **words: str) -> list[str]:
    found = store.files.search(FileSearch(limit=limit, seconds=seconds, **words))
    assert all(PATHS[match.path] == match.build_id for match in found.files)
    assert {match.archive for match in found.files} <= {"p.deb"}
    return [match.path.rpartition("/")[2] for match in found.files] + ["..."] * (not found.complete)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (f"{DEBUG}/vmlinux", {"vmlinux"}),
        (f"{DEBUG}/*", {"vmlinux"}),  # without what has no build ID
        (f"{MODULES}/fs/*/*.ko", {"ext4.ko", "xfs.ko"}),
        (f"{MODULES}/*/*.ko", {"a[1]b.ko"}),
        ("/*/*/*/*/*/*/*/*/*/ext?.ko", {"ext4.ko"}),
        (f"{MODULES}/fs/[!e]*/*", {"xfs.ko"}),
        (f"{MODULES}/fs/[^e]*/*", {"xfs.ko"}),
        (f"{MODULES}/net/a\\[1]b.ko", {"a[1]b.ko"}),
        (f"{MODULES}/net/a[[]1]b.k*", {"a[1]b.ko"}),
        ("*", set()),
        ("*.ko", set()),
        ("/*.ko", set()),
        ("", set()),
        ("/", set()),
        ("/" + "*a" * 500, set()),
        ("/" + "*a" * 30 + "/" + "*b" * 30, set()),
        ("/usr/lib/debug/[", set()),
    ],
)
def test_patterns(store: Store, pattern: str, found: set[str]) -> None:
    assert set(search(store, pattern=pattern)) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"{MODULES}/fs/ext4/ext4.ko", ["ext4.ko"]),
        (f"{MODULES}/net/a[1]b.ko", ["a[1]b.ko"]),
        (f"{MODULES}/fs/ext4/*.ko", []),
        (f"{DEBUG}/System.map", []),
        ("ext4.ko", []),
        ("", []),
    ],
)
def test_paths(store: Store, path: str, found: list[str]) -> None:
    assert search(store, path=path) == found


def test_build_ids(store: Store) -> None:
    assert search(store, build_id="BB" * 20) == ["ext4.ko"]
    assert search(store, build_id="ee" * 20) == []


def test_what_is_left_out_is_said(store: Store) -> None:
    assert len(search(store, limit=2, pattern=f"{MODULES}/*/*/*.ko")) == 2
    assert len(search(store, limit=1, pattern=f"{MODULES}/*/*/*.ko")) == 2  # one, and "..."
    assert search(store, limit=1, pattern=f"{MODULES}/*/*/*.ko")[-1] == "..."
    assert search(store, seconds=0.0, pattern=f"{MODULES}/*/*/*.ko") == ["..."]


def test_a_long_query_is_interrupted() -> None:
    with closing(sqlite3.connect(":memory:")) as slow:
        slow.execute(
            "CREATE VIEW files AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT i * 0 + 1 kernel, 1 folder, CASE WHEN i < 0 THEN i END build_id, '' role, "
            "'name' || i name, 1 package FROM n"
        )
        slow.execute("CREATE TABLE folders AS SELECT 1 kernel, 1 number, 'root/a' path")
        slow.execute("CREATE TABLE packages AS SELECT 1 kernel, 1 number, '' archive")
        found = FileSearch(limit=5, seconds=0.1, pattern="/a/*").run(slow)
    assert (found.files, found.complete) == ((), False)
