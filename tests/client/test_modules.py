"""The loaded modules of a real dump, and what is said where they cannot be listed."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import drgn
import pytest

from kernsym.cache import FileRole
from kernsym.client.debuggers.drgn_modules import list_modules
from kernsym.client.debuggers.matching import match_modules
from kernsym.client.debuggers.modules import loaded_modules, taint_letters
from kernsym.client.dumps import open_dump
from kernsym.client.dumps.reader import DumpReader, Segment
from kernsym.distros import Unusable
from tests.client.conftest import WorldKernel
from tests.conftest import FACTS, WORLD

LOADED = ["configfs", "crc_ccitt", "exportfs", "overlay"]


def test_every_loaded_module_with_its_build_id(world_kernel: WorldKernel) -> None:
    modules = loaded_modules(FACTS, world_kernel.vmlinux)
    assert sorted(module.name for module in modules) == LOADED
    packaged = {file.name: file.build_id for file in world_kernel.bundle.files if file.name}
    assert {module.name: module.build_id for module in modules} == {
        name: packaged[name] for name in LOADED
    }
    assert all(module.address >> 47 and module.size % 4096 == 0 < module.size for module in modules)
    assert {module.taints for module in modules} == {""}


def test_the_files_of_the_package_match_them(world_kernel: WorldKernel) -> None:
    matching = match_modules(loaded_modules(FACTS, world_kernel.vmlinux), world_kernel.bundle)
    assert matching.missing == () and matching.by_name == ()
    assert {file.role for _, file in matching.chosen} == {FileRole.MODULE}
    assert sorted(module.name for module, _ in matching.chosen) == LOADED


def test_nothing_of_it_stays_in_this_process(world_kernel: WorldKernel) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded_modules(FACTS, world_kernel.vmlinux)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 4096  # KiB


def test_files_beside_the_dump_are_not_imported(
    world_kernel: WorldKernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drgn.py").write_text("raise SystemExit('executed')")
    monkeypatch.chdir(tmp_path)
    assert len(loaded_modules(FACTS, world_kernel.vmlinux)) == len(LOADED)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vmcoreinfo": None}, "no VMCOREINFO"),
        ({"vmcoreinfo": "OSRELEASE=6.1.0-999-amd64\nPAGESIZE=4096\n"}, "VMCOREINFO"),
        ({"arch": "m68k"}, "m68k"),
        ({"arch": None}, "machine of this dump"),
    ],
)
def test_the_reason_is_told(
    world_kernel: WorldKernel, change: dict[str, str | None], reason: str
) -> None:
    facts = replace(FACTS, fingerprint=replace(FACTS.fingerprint, **change))
    with pytest.raises(Unusable) as caught:
        loaded_modules(facts, world_kernel.vmlinux)
    assert caught.value.code == "modules-unlisted"
    assert reason in caught.value.message and "Traceback" not in caught.value.message


def test_a_vmlinux_of_another_build_lists_nothing(
    world_kernel: WorldKernel, tmp_path: Path
) -> None:
    """drgn itself would pass over such a file and find no modules."""
    build_id = world_kernel.bundle.verification.build_id
    assert build_id is not None
    data = world_kernel.vmlinux.read_bytes()
    assert data.count(bytes.fromhex(build_id)) >= 1
    other = tmp_path / "vmlinux"
    other.write_bytes(data.replace(bytes.fromhex(build_id), bytes(20)))
    for content in (other.read_bytes(), b"not ELF", b""):
        other.write_bytes(content)
        with pytest.raises(Unusable) as caught:
            loaded_modules(FACTS, other)
        assert caught.value.code == "modules-unlisted"


@dataclass
class Torn:
    """A dump that lacks one page, or has zeros there.  `seen`: the pages that were read."""

    whole: DumpReader
    zeros: bool = False
    lacks: int = -1
    seen: set[int] = field(default_factory=set)

    def segments(self) -> tuple[Segment, ...]:
        return self.whole.segments()

    def read(self, address: int, size: int) -> bytes:
        pages = range(address >> 12, (address + size - 1 >> 12) + 1)
        self.seen.update(pages)
        if self.lacks in pages and not self.zeros:
            raise drgn.FaultError("not in the dump", address)
        if self.lacks in pages:
            return bytes(size)
        return self.whole.read(address, size)


@pytest.mark.parametrize("zeros", [True, False])
def test_a_list_that_drgn_leaves_modules_out_of_is_none(
    world_kernel: WorldKernel, zeros: bool
) -> None:
    """Whichever page it cannot read, it says so in its log alone."""
    reader = open_dump(WORLD / "vmcore")

    def names(torn: Torn) -> list[str]:
        vmcoreinfo = (FACTS.fingerprint.vmcoreinfo or "").encode()
        listed = list_modules(cast(DumpReader, torn), vmcoreinfo, world_kernel.vmlinux, "x86_64")
        return sorted(module.name for module in listed)

    whole = Torn(reader)
    assert names(whole) == LOADED
    refused = []
    for page in whole.seen:
        try:
            assert names(Torn(reader, zeros, lacks=page)) == LOADED
        except (ValueError, drgn.FaultError) as error:
            refused.append(str(error))
    assert "drgn can read 0 of 4 modules" in refused
    assert zeros or "drgn can read 3 of 4 modules" in refused


def test_taints() -> None:
    assert taint_letters(0) == ""
    assert taint_letters(0b1) == "P"
    assert taint_letters(1 << 0 | 1 << 12 | 1 << 13) == "POE"
    assert taint_letters(1 << 16) == "X"
