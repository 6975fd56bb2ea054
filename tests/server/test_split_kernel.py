"""A kernel whose DWARF lies in a file of its own: two packages, one pair, one proof."""

from __future__ import annotations

import asyncio
import gzip
import lzma
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from kernsym.cache import FileRole, Store
from kernsym.cache.messages import Part
from kernsym.distros import NotPublished, Refused, Role
from kernsym.server.app import build_app
from kernsym.server.config import ServerConfig
from tests.elf_writer import NOTE, PROGBITS, elf, note, vmlinux
from tests.server import small_distro as small
from tests.server.test_candidates import ask, left_in

NOBITS = 8
ROLES = (Role.DEBUGINFO, Role.KERNEL)
WANTED = small.fingerprint("near.example")


@pytest.fixture(autouse=True)
def _pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    small.register(monkeypatch, small.distro("near", 1, ROLES, certain=True))


def debug_half(number: int, banner: str | None = None) -> bytes:
    """The DWARF's half: its `.rodata` is an outline, unless there is a banner in it."""
    notes = note(b"GNU", 3, bytes.fromhex(small.build_id(number)))
    rodata = (PROGBITS, f"{banner}\n\0".encode()) if banner else (NOBITS, b"\0" * 64)
    return elf([(".rodata", *rodata), (".notes", NOTE, notes)])


def publish(folder: Path, stripped: bytes, debug: bytes, suffix: str = "") -> None:
    small.publish(folder, "near", stripped, Role.KERNEL, small.STRIPPED_PATH + suffix)
    small.publish(folder, "near", debug, path=f"{small.DEBUG_PATH}.debug")


KERNEL = vmlinux(WANTED.banner or "", small.build_id(1))


@pytest.mark.parametrize(
    ("stripped", "suffix"),
    [(KERNEL, ""), (gzip.compress(KERNEL), ".gz"), (lzma.compress(KERNEL), ".xz")],
    ids=["plain", "gz", "xz"],
)
@pytest.mark.parametrize("banner", [None, WANTED.banner])
def test_both_halves_are_held(
    store: Store, tmp_path: Path, stripped: bytes, suffix: str, banner: str | None
) -> None:
    publish(tmp_path, stripped, debug_half(1, banner), suffix)
    bundle, _ = ask(store, WANTED, tmp_path)
    assert {ref.package.role for ref in bundle.packages} == set(ROLES)
    assert bundle.verification.banner == WANTED.banner
    assert bundle.verification.build_id == small.build_id(1)
    held = bundle.first(FileRole.STRIPPED)
    assert held is not None and held.path == f"root/{small.STRIPPED_PATH}"
    assert (store.folder(bundle.kernel) / held.path).read_bytes() == KERNEL
    linked = store.find_build_id(small.build_id(1))
    assert linked is not None and linked.file.role is FileRole.VMLINUX


@pytest.mark.parametrize(
    ("stripped", "debug"),
    [
        (KERNEL, debug_half(2)),
        (KERNEL, debug_half(1, small.banner("clone.example"))),
        (vmlinux(WANTED.banner or "", None), debug_half(1)),
        (vmlinux(small.banner("clone.example"), small.build_id(1)), debug_half(1)),
    ],
    ids=["other build ID", "other banner", "nothing to compare", "another kernel's pair"],
)
def test_halves_that_are_not_proven_to_fit_are_refused(
    store: Store, tmp_path: Path, stripped: bytes, debug: bytes
) -> None:
    publish(tmp_path, stripped, debug)
    with pytest.raises(Refused) as caught:
        ask(store, WANTED, tmp_path)
    assert caught.value.code == "vmlinux-mismatch"
    assert not left_in(store)


def test_the_half_that_fits_is_found_beside_a_twin(store: Store, tmp_path: Path) -> None:
    publish(tmp_path / "twin", vmlinux(small.banner("clone.example"), small.build_id(2)), b"")
    small.publish(tmp_path / "twin", "near", debug_half(2), path=f"{small.DEBUG_PATH}.debug")
    publish(tmp_path / "right", KERNEL, debug_half(1))
    bundle, _ = ask(store, WANTED, tmp_path / "twin", tmp_path / "right")
    assert {Path(ref.url).parent.name for ref in bundle.packages} == {"right"}


def test_sources_come_from_the_package_that_has_them(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain files of the common package; where they lay is read from the vmlinux."""
    roles = (Role.DEBUGINFO, Role.DEBUGINFO_COMMON)
    small.register(monkeypatch, small.distro("near", 1, roles, certain=True))
    file = f"{small.SOURCES_PATH}/kernel/panic.c"
    small.publish_vmlinux(tmp_path, "near", "near.example", 1)
    small.publish(tmp_path, "near", b"panic", Role.DEBUGINFO_COMMON, file)
    ask(store, WANTED, tmp_path)
    bundle, _ = ask(store, WANTED, tmp_path, part=Part.SOURCES)
    tree = bundle.first(FileRole.SOURCE_TREE)
    assert tree is not None and tree.path == f"root/{small.SOURCES_PATH}"
    assert (store.folder(bundle.kernel) / "root" / file).read_bytes() == b"panic"


def test_debuginfod_gives_each_half_as_what_it_is(store: Store, tmp_path: Path) -> None:
    debug = debug_half(1)
    publish(tmp_path, KERNEL, debug)
    ask(store, WANTED, tmp_path)

    async def read() -> dict[str, bytes]:
        config = ServerConfig(store=store.root, host="127.0.0.1", port=0)
        async with TestClient(TestServer(build_app(config))) as client:
            kinds = ("debuginfo", "executable", "section/.rodata", "section/.notes")
            urls = {kind: f"/buildid/{small.build_id(1)}/{kind}" for kind in kinds}
            return {kind: await (await client.get(url)).read() for kind, url in urls.items()}

    given = asyncio.run(read())
    assert (given["debuginfo"], given["executable"]) == (debug, KERNEL)
    assert b"Linux version" in given["section/.rodata"], "from the half that has it"
    assert given["section/.rodata"] in KERNEL
    assert given["section/.notes"] in debug


def test_one_half_alone_is_not_enough(store: Store, tmp_path: Path) -> None:
    small.publish(tmp_path, "near", debug_half(1), path=f"{small.DEBUG_PATH}.debug")
    with pytest.raises(NotPublished, match="near-kernel"):
        ask(store, WANTED, tmp_path)
