"""Which file a loaded module gets, and why another gets none."""

from __future__ import annotations

import pytest

from kernsym.cache import Bundle, BundleFile, FileRole, Verification
from kernsym.client.debuggers.matching import match_modules
from kernsym.client.debuggers.modules import LoadedModule
from kernsym.distros import Kernel

ONE, TWO = "11" * 20, "22" * 20


def file(path: str, build_id: str | None = ONE) -> BundleFile:
    name = path.rsplit("/", 1)[1].split(".")[0].replace("-", "_")
    return BundleFile(
        role=FileRole.MODULE,
        path=path,
        size=1,
        sha256="",
        package="p",
        name=name,
        build_id=build_id,
    )


def bundle(*files: BundleFile) -> Bundle:
    kernel = Kernel(
        distro="debian",
        release="12",
        arch="x86_64",
        uname="6.1.0-18-amd64",
        flavour="amd64",
        version="6.1.76-1",
    )
    verified = Verification(by=("banner",), banner="Linux version", build_id=None)
    return Bundle(kernel=kernel, verification=verified, packages=(), files=files)


def module(name: str, build_id: str | None = ONE, taints: str = "") -> LoadedModule:
    return LoadedModule(name=name, build_id=build_id, address=0, size=4096, taints=taints)


@pytest.mark.parametrize(
    ("loaded", "files", "path"),
    [
        (module("loop"), [file("m/kernel/loop.ko")], "m/kernel/loop.ko"),
        (module("dm_mod"), [file("m/kernel/dm-mod.ko")], "m/kernel/dm-mod.ko"),
        # The build ID decides, not the folder.
        (
            module("nvme", TWO),
            [file("m/kernel/nvme.ko"), file("m/updates/nvme.ko", TWO)],
            "m/updates/nvme.ko",
        ),
        # Taints say where a module came from; an equal build ID says more.
        (module("zfs", ONE, "PO"), [file("m/extra/zfs.ko")], "m/extra/zfs.ko"),
    ],
)
def test_the_file_with_the_build_id_of_the_dump(
    loaded: LoadedModule, files: list[BundleFile], path: str
) -> None:
    matching = match_modules([loaded], bundle(*files))
    assert [(found.name, chosen.path) for found, chosen in matching.chosen] == [(loaded.name, path)]
    assert matching.missing == () and matching.by_name == ()


@pytest.mark.parametrize(
    ("loaded", "files", "reason"),
    [
        (
            module("loop", TWO),
            [file("m/kernel/loop.ko")],
            f"other build ID: dump {TWO}, package {ONE}",
        ),
        (
            module("loop", TWO, "OE"),
            [file("m/kernel/loop.ko", None)],
            f"other build ID: dump {TWO}, package without one; out of tree (O), unsigned (E)",
        ),
        (module("nvidia", TWO, "POE"), [], "proprietary (P), out of tree (O), unsigned (E)"),
        (module("vmw_x", TWO, "F"), [], "not in the package"),
        (module("gone", TWO), [file("m/kernel/loop.ko", TWO)], "not in the package"),
        # By name alone, but the kernel says that this one is not the package's.
        (module("loop", None, "O"), [file("m/kernel/loop.ko")], "out of tree (O)"),
    ],
)
def test_a_module_without_its_file_is_named_with_the_reason(
    loaded: LoadedModule, files: list[BundleFile], reason: str
) -> None:
    matching = match_modules([loaded], bundle(*files))
    assert matching.chosen == ()
    assert matching.missing == ((loaded, reason),)


def test_without_build_ids_the_name_decides_and_it_is_said() -> None:
    loaded = module("nvme", None)
    matching = match_modules(
        [loaded], bundle(file("m/updates/nvme.ko", TWO), file("m/kernel/nvme.ko"))
    )
    assert [chosen.path for _, chosen in matching.chosen] == ["m/kernel/nvme.ko"]
    assert matching.by_name == (loaded,)


def test_the_rest_still_matches_when_one_does_not() -> None:
    matching = match_modules(
        [module("a", TWO), module("b"), module("c", TWO)],
        bundle(file("m/kernel/a.ko"), file("m/kernel/b.ko"), file("m/kernel/c.ko", TWO)),
    )
    assert [loaded.name for loaded, _ in matching.chosen] == ["b", "c"]
    assert [loaded.name for loaded, _ in matching.missing] == ["a"]
