"""The store: what is published is found by kernel, banner and build ID, whole and merged."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, BundleFile, FileRole, Store, Verification
from kernsym.cache.bundle import decode, encode
from kernsym.distros import Kernel, KernsymError, NotPublished, Package, PackageRef, Role, Unusable

BANNER = "Linux version 6.1.0-1-amd64 (debian-kernel@lists.debian.org) (gcc) #1 SMP Debian 6.1.7-1"
KERNEL = Kernel(
    distro="debian",
    release="12",
    arch="x86_64",
    uname="6.1.0-1-amd64",
    flavour="amd64",
    version="6.1.7-1",
)
PACKAGE = Package(
    role=Role.DEBUGINFO,
    id="linux-image-6.1.0-1-amd64-dbg_6.1.7-1_amd64.deb",
    name="linux-image-6.1.0-1-amd64-dbg",
    version="6.1.7-1",
    arch="amd64",
)
REF = PackageRef(package=PACKAGE, url="http://x.example/a.deb", origin="test", why="a test")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store")
    yield store
    store.close()


def bundle_file(store: Store, path: str, role: FileRole, build_id: str | None) -> BundleFile:
    """A file on disk with its entry; the content is its name."""
    target = store.folder(KERNEL) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(path)
    name = Path(path).stem if role is FileRole.MODULE else ""
    return BundleFile(
        role=role,
        path=path,
        size=len(path),
        sha256="0" * 64,
        package=PACKAGE.id,
        name=name,
        build_id=build_id,
    )


def bundle(*files: BundleFile, absent: tuple[str, ...] = ()) -> Bundle:
    return Bundle(
        kernel=KERNEL,
        verification=Verification(by=("banner",), banner=BANNER, build_id="aa" * 20),
        packages=(REF,),
        files=files,
        absent=absent,
    )


def test_published_kernel_is_found_every_way(store: Store) -> None:
    vmlinux = bundle_file(store, "root/usr/lib/vmlinux", FileRole.VMLINUX, "aa" * 20)
    module = bundle_file(store, "root/usr/lib/ext4.ko", FileRole.MODULE, "bb" * 20)
    published = store.publish(bundle(vmlinux, module))

    assert store.bundle(KERNEL) == published
    assert store.bundle_by_key(KERNEL.key) == published
    assert store.find_banner(BANNER) == (published,)
    held = store.find_build_id("bb" * 20)
    assert held is not None and held.file == module
    assert held.path.read_text() == "root/usr/lib/ext4.ko"
    assert (store.root / ".build-id/aa" / f"{'aa' * 19}.debug").read_text() == vmlinux.path
    assert list(store.bundles()) == [published]


def test_nothing_is_found_before_publication(store: Store) -> None:
    bundle_file(store, "root/vmlinux", FileRole.VMLINUX, "aa" * 20)
    assert store.bundle(KERNEL) is None
    assert store.find_build_id("aa" * 20) is None
    assert store.find_banner(BANNER) == ()
    assert list(store.bundles()) == []


def test_publication_merges_with_what_another_process_published(store: Store) -> None:
    vmlinux = bundle_file(store, "root/vmlinux", FileRole.VMLINUX, "aa" * 20)
    first = bundle_file(store, "root/a.ko", FileRole.MODULE, "bb" * 20)
    second = bundle_file(store, "root/b.ko", FileRole.MODULE, "cc" * 20)
    store.publish(bundle(vmlinux, first, absent=("b", "z")))
    merged = store.publish(bundle(vmlinux, second))
    assert {file.name for file in merged.files} == {"", "a", "b"}
    assert merged.absent == ("z",)


def test_the_index_is_not_the_truth(store: Store) -> None:
    published = store.publish(
        bundle(bundle_file(store, "root/vmlinux", FileRole.VMLINUX, "aa" * 20))
    )
    store.files.drop(KERNEL.key)
    assert store.find_banner(BANNER) == (published,)
    held = store.find_build_id("aa" * 20)
    assert held is not None and held.bundle == published


def test_removal_leaves_no_file_link_or_folder(store: Store) -> None:
    published = store.publish(
        bundle(bundle_file(store, "root/vmlinux", FileRole.VMLINUX, "aa" * 20))
    )
    store.remove(published)
    assert store.bundle(KERNEL) is None
    assert store.find_build_id("aa" * 20) is None
    assert list((store.root / "kernels").iterdir()) == []
    assert not list((store.root / ".build-id").rglob("*.debug"))


def test_removal_keeps_a_link_that_another_kernel_has_taken_over(store: Store) -> None:
    mine = store.publish(bundle(bundle_file(store, "root/vmlinux", FileRole.VMLINUX, "aa" * 20)))
    other = replace(KERNEL, version="6.1.7-2")
    target = store.folder(other) / "root/vmlinux"
    target.parent.mkdir(parents=True)
    target.write_text("other")
    store.publish(replace(mine, kernel=other))
    store.remove(mine)
    held = store.find_build_id("aa" * 20)
    assert held is not None and held.bundle.kernel == other


@pytest.mark.parametrize(
    "key", ["", "a/b/c", "a/b/c/d/e", "../../../etc", "debian/../x86_64/a", "a/b/c/\0"]
)
def test_a_strange_key_finds_nothing(store: Store, key: str) -> None:
    assert store.bundle_by_key(key) is None


@pytest.mark.parametrize("build_id", ["..", "../../etc/passwd", "aa", "aa/../bb"])
def test_a_strange_build_id_finds_nothing(store: Store, build_id: str) -> None:
    assert store.find_build_id(build_id) is None


def test_manifest_survives_the_round_trip_and_refuses_what_it_cannot_read() -> None:
    file = BundleFile(role=FileRole.VMLINUX, path="a", size=1, sha256="0" * 64, package="p")
    assert decode(encode(bundle(file))) == bundle(file)
    with pytest.raises(KernsymError) as newer:
        decode(encode(replace(bundle(file), schema=99)))
    assert newer.value.code == "manifest-newer"
    with pytest.raises(KernsymError) as broken:
        decode(b"{}")
    assert broken.value.code == "manifest-unreadable"


def test_only_a_sure_miss_is_remembered_for_those_who_were_asked(store: Store) -> None:
    assert store.index.miss(KERNEL, ("a",)) is None
    error = NotPublished("not-published", "nobody has it", context=("a: no",), hint="look around")
    store.index.remember_miss(KERNEL, ("a",), error)
    again = store.index.miss(KERNEL, ("a",))
    assert again is not None and again.message == "nobody has it" and "a: no" in again.context
    assert store.index.miss(KERNEL, ("a", "b")) is None


def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable) as caught:
        Store(tmp_path / "file" / "store")
    assert caught.value.code == "store-unusable"


def _hold_until_killed(root: Path, ready: Path) -> None:
    with Store(root).lock(KERNEL, "symbols"):
        ready.touch()
        time.sleep(60)


def test_a_lock_ends_with_its_holder_even_by_kill(store: Store, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    context = multiprocessing.get_context("spawn")
    holder = context.Process(target=_hold_until_killed, args=(store.root, ready))
    holder.start()
    try:
        while not ready.exists():
            time.sleep(0.02)
        waited: list[int | None] = []
        polls = iter([False, False, True])
        with (
            pytest.raises(InterruptedError),
            store.lock(KERNEL, "symbols", on_wait=waited.append, stop=lambda: next(polls)),
        ):
            pass
        assert waited == [holder.pid]
        with store.lock(KERNEL, "sources"):
            pass  # another part of the same kernel is free
        assert holder.pid is not None
        os.kill(holder.pid, signal.SIGKILL)
        with store.lock(KERNEL, "symbols"):
            pass
    finally:
        holder.kill()
        holder.join()


def _publish_module(root: Path, number: int) -> None:
    store = Store(root)
    file = bundle_file(store, f"root/m{number}.ko", FileRole.MODULE, f"{number:040x}")
    store.publish(bundle(file))
    store.close()


def test_processes_that_publish_together_lose_nothing(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_publish_module, args=(store.root, number)) for number in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    held = store.bundle(KERNEL)
    assert held is not None and {file.name for file in held.files} == {"m0", "m1", "m2", "m3"}
