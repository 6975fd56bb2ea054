"""What a server process gives out of a kernel whose package did not come whole, and to whom."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, Store, Unchecked
from tests.elf_writer import BUILD_ID
from tests.live_server import KERNEL, bundle_of, fill_store, live_server, module_build_id

SOURCE = """
[[source]]
distro = "debian"
kind = "apt"
url = "http://127.0.0.1:1/debian"
partial = true
"""


def mark(root: Path, *, for_all: bool, modules: int = 1) -> Unchecked:
    """Have vmlinux and the first modules be of a package that came in part."""
    fill_store(root)
    bundle = bundle_of(3)
    paths = tuple(file.path for file in bundle.files[: modules + 1])
    unchecked = Unchecked(
        package=bundle.packages[0].package.id,
        paths=paths,
        came=84_000_000,
        size=858_000_000,
        for_all=for_all,
    )
    with contextlib.closing(Store(root)) as store:
        store.publish(replace(bundle, unchecked=(unchecked,)))
    return unchecked


def test_who_asks_by_build_id_is_not_given_it(tmp_path: Path) -> None:
    with contextlib.closing(Store(tmp_path / "new")) as store:
        bundle = bundle_of(3)
        paths = tuple(file.path for file in bundle.files[:2])
        unchecked = Unchecked(package=bundle.packages[0].package.id, paths=paths, came=1, size=2)
        for file in bundle.files:
            path = store.folder(KERNEL) / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
        store.publish(replace(bundle, unchecked=(unchecked,)))
        hidden, shown = (BUILD_ID, module_build_id(0)), (module_build_id(1), module_build_id(2))
        assert all(store.find_build_id(each) is None for each in hidden)
        assert all(store.find_build_id(each) is not None for each in shown)
        assert not any(store.has_link(each) for each in hidden)
        store.mark_checked(KERNEL, unchecked.package)
        assert all(store.find_build_id(each) is not None for each in (*hidden, *shown))
        assert all(store.has_link(each) for each in hidden)
        held = store.bundle(KERNEL)
        assert held is not None and held.unchecked == ()


def test_a_mark_outlives_what_is_added_by_others(tmp_path: Path) -> None:
    unchecked = mark(tmp_path, for_all=False)
    with contextlib.closing(Store(tmp_path)) as store:
        published = store.publish(bundle_of(3))
        assert published.unchecked == (unchecked,)


def test_an_older_manifest_has_no_marks() -> None:
    bundle = bundle_of(1)
    assert bundle.unchecked == bundle.withheld == ()
    assert bundle.found == bundle.files


@pytest.mark.parametrize("for_all", [False, True])
def test_the_answers_say_what_is_not_sure(tmp_path: Path, for_all: bool) -> None:
    said = "84 MB of 858 MB by ranges; the signature of the whole was not checked"
    mark(tmp_path / "store", for_all=for_all)
    settings = f"fetch_on_demand = false\n{SOURCE if for_all else ''}"
    with live_server(tmp_path, settings=settings) as server:
        bundle = server.ask(f"/api/v1/kernels/{KERNEL.key}").json()
        assert bundle["unchecked"][0]["came"] == 84_000_000
        files = [file["path"] for file in bundle["files"]]
        file = server.ask(f"/api/v1/kernels/{KERNEL.key}/files/{files[0]}")
        assert (file.status, file.headers["X-KERNSYM-UNCHECKED"]) == (200, said)
        sure = server.ask(f"/api/v1/kernels/{KERNEL.key}/files/{files[3]}")
        assert (sure.status, sure.headers["X-KERNSYM-UNCHECKED"]) == (200, None)
        if for_all:
            answer = server.ask(f"/buildid/{BUILD_ID}/debuginfo")
            assert (answer.status, answer.headers["X-KERNSYM-UNCHECKED"]) == (200, said)
            assert answer.headers["Cache-Control"] == "no-cache"
        answer = server.ask(f"/buildid/{module_build_id(2)}/debuginfo")
        assert (answer.status, answer.headers["X-KERNSYM-UNCHECKED"]) == (200, None)
        assert "immutable" in answer.headers["Cache-Control"]


def test_a_bundle_names_its_files_once() -> None:
    bundle: Bundle = bundle_of(2)
    unchecked = Unchecked(package="p", paths=(bundle.files[0].path,), came=1, size=2)
    marked = replace(bundle, unchecked=(unchecked,))
    assert marked.mark_of(bundle.files[0]) is unchecked
    assert marked.mark_of(bundle.files[1]) is None
    assert marked.found == bundle.files[1:]
