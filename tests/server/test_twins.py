"""Two builds under one name: both are held, and each dump gets its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import FileRole, Store
from kernsym.distros import Fingerprint, Refused, Role
from kernsym.server.held import find_held
from tests.elf_assembler import assemble
from tests.server import small_distro as small
from tests.server.test_candidates import ask

FIRST = small.fingerprint("near.example", 1)


@pytest.fixture(autouse=True)
def _near(monkeypatch: pytest.MonkeyPatch) -> None:
    small.register(monkeypatch, small.distro("near", 1, (Role.DEBUGINFO,), certain=True))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    small.publish_vmlinux(tmp_path / "first", "near", "near.example", 1)
    small.publish_vmlinux(tmp_path / "second", "near", "clone.example", 2)
    return tmp_path / "first", tmp_path / "second"


@pytest.mark.parametrize(
    "second",
    [
        small.fingerprint("clone.example", 2),
        small.fingerprint("clone.example"),
        Fingerprint(release=small.UNAME, build_id=small.build_id(2)),
    ],
    ids=["both", "banner", "build ID"],
)
def test_the_second_build_has_a_place_of_its_own(
    store: Store, folders: tuple[Path, Path], second: Fingerprint
) -> None:
    one, _ = ask(store, FIRST, *folders)
    two, _ = ask(store, second, *folders)
    assert one.kernel.key == small.kernel("near").key
    assert two.kernel.key == f"{one.kernel.key}+{two.kernel.twin}" and len(two.kernel.twin) == 8
    assert {held.kernel.key for held in store.bundles()} == {one.kernel.key, two.kernel.key}
    for fingerprint, bundle in ((FIRST, one), (second, two)):
        assert find_held(store, fingerprint) == bundle
        assert store.bundle_by_key(bundle.kernel.key) == bundle
        vmlinux = bundle.first(FileRole.VMLINUX)
        assert vmlinux is not None
        content = (store.folder(bundle.kernel) / vmlinux.path).read_bytes()
        assert bundle.verification.banner.encode() in content
    store.remove(two)
    assert find_held(store, FIRST) == one and find_held(store, second) is None


def test_a_twin_is_found_by_what_another_dump_shows_of_it(
    store: Store, folders: tuple[Path, Path]
) -> None:
    ask(store, FIRST, *folders)
    two, _ = ask(store, small.fingerprint("clone.example"), *folders)
    by_build_id = Fingerprint(release=small.UNAME, build_id=small.build_id(2))
    assert find_held(store, by_build_id) == two


def test_a_build_that_nobody_publishes_leaves_the_one_that_is_held(
    store: Store, folders: tuple[Path, Path]
) -> None:
    one, _ = ask(store, FIRST, folders[0])
    with pytest.raises(Refused) as caught:
        ask(store, small.fingerprint("third.example", 3), *folders)
    assert caught.value.code == "vmlinux-mismatch"
    assert [held.kernel.key for held in store.bundles()] == [one.kernel.key]
    assert not list(store.root.glob("kernels/*/*/*/*+*"))


def test_without_banner_and_build_id_no_twin_can_be_told(
    store: Store, folders: tuple[Path, Path]
) -> None:
    ask(store, FIRST, *folders)
    shown = Fingerprint(release=small.UNAME, version="#2 SMP Wed May 15 2024")
    with pytest.raises(Refused) as caught:
        find_held(store, shown)
    assert caught.value.code == "vmlinux-mismatch"


def test_files_of_two_builds_are_never_mixed(store: Store, folders: tuple[Path, Path]) -> None:
    one, _ = ask(store, FIRST, *folders)
    other = replace(one, verification=replace(one.verification, build_id=small.build_id(2)))
    with pytest.raises(Refused) as caught:
        store.publish(other)
    assert caught.value.code == "twin-held"
    assert store.bundle(one.kernel) == one


def test_rebuilds_with_one_banner_are_told_by_their_symbols(store: Store, tmp_path: Path) -> None:
    """As SUSE's are, which carry the date of their source, in dumps without a build ID."""
    wanted = []
    for number in (1, 2):
        gaps = {"_stext": 16, "init_uts_ns": 16 * number, "prb": 16, "log_buf": 16}
        vmlinux = assemble(tmp_path / f"k{number}", small.banner("near.example"), gaps=gaps)
        small.publish(tmp_path / f"p{number}", "near", vmlinux.read_bytes())
        places = {"_stext": 0x1000, "init_uts_ns": 0x1010, "prb": 0x1010 + 16 * number}
        told = "\n".join(f"SYMBOL({name})={address:x}" for name, address in places.items())
        wanted.append(replace(small.fingerprint("near.example"), vmcoreinfo=told))
    folders = (tmp_path / "p1", tmp_path / "p2")
    bundles = [ask(store, fingerprint, *folders)[0] for fingerprint in wanted]
    assert [bundle.verification.by for bundle in bundles] == [("banner", "symbols")] * 2
    assert [bool(bundle.kernel.twin) for bundle in bundles] == [False, True]
    origins = [Path(bundle.packages[0].url).parent.name for bundle in bundles]
    assert origins == ["p1", "p2"]
    for fingerprint, bundle in zip(wanted, bundles, strict=True):
        assert find_held(store, fingerprint) == bundle
