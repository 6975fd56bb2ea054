"""crash on a prepared copy of vmlinux: from the second time on, here and from a server."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from kernsym.cache import Bundle, FileRole, Store
from tests.conftest import KERNEL, Kernsym
from tests.processes import wait_for
from tests.story import COMMANDS, VMCORE, assert_everything_is_there
from tests.test_sharing import shared_server

MORE = "ps\nsym panic\nwhatis panic\nstruct module\ndis -l panic 20\nlist modules\nmod\nbt -a\n"


@pytest.fixture
def preparing(kernsym: Kernsym) -> Kernsym:
    """The command, whose servers prepare small kernels too."""
    config = Path(kernsym.environment["KERNSYM_CONFIG"])
    config.write_text(f"[server]\nprepare_above_mb = 0\n{config.read_text()}")
    return kernsym


def held(store: Path) -> Bundle | None:
    with contextlib.closing(Store(store)) as opened:
        return opened.bundle(KERNEL)


def wait_until_prepared(store: Path) -> Bundle:
    def found() -> Bundle | None:
        bundle = held(store)
        return bundle if bundle is not None and bundle.prepared else None

    wait_for(found, 90)
    return next(filter(None, [found()]))


def without_paths(out: str) -> str:
    return re.sub(r"\S*/vmlinux-\S*", "VMLINUX", out)


def test_the_second_session_uses_it_and_sees_the_same(preparing: Kernsym) -> None:
    first = preparing("crash", VMCORE, text=MORE + COMMANDS)
    assert_everything_is_there(first.stdout)
    bundle = wait_until_prepared(preparing.store)
    assert bundle.prepared is not None
    second = preparing("crash", VMCORE, text=MORE + COMMANDS)
    assert without_paths(second.stdout) == without_paths(first.stdout)
    printed = preparing("crash", "--print", "--no-sources", VMCORE).stdout
    assert f"/{KERNEL.key}/prepared/vmlinux-{KERNEL.uname} " in printed
    assert f"prepared/vmlinux-{KERNEL.uname}, index by gdb" in preparing("show", KERNEL.key).stdout
    path = preparing.store / "kernels" / KERNEL.key / bundle.prepared.path
    path.write_bytes(path.read_bytes()[:-1])
    printed = preparing("crash", "--print", "--no-sources", VMCORE).stdout
    assert "/prepared/" not in printed, "what is not whole is not used"
    preparing("rm", KERNEL.key)
    assert not (preparing.store / "kernels" / KERNEL.key).exists()


@pytest.mark.parametrize("how", ["no gdb", "switched off"])
def test_all_works_without(preparing: Kernsym, how: str) -> None:
    if how == "no gdb":
        programs = preparing.home / "bin"
        programs.mkdir()
        for name in ("crash", "sh", "cat", "uname"):
            (programs / name).symlink_to(shutil.which(name) or "")
        preparing.environment["PATH"] = str(programs)
        assert "crash starts in half the time" in preparing("doctor", status=None).stdout
    else:
        config = Path(preparing.environment["KERNSYM_CONFIG"])
        config.write_text(config.read_text().replace("[server]\n", "[server]\nprepare = false\n"))
    assert "panic" in preparing("crash", "--no-sources", VMCORE, text="bt\nquit\n").stdout
    assert not (preparing.store / "kernels" / KERNEL.key / "prepared").exists()


@pytest.fixture
def server(preparing: Kernsym) -> Iterator[str]:
    """A shared server that has the kernel with its prepared copy."""
    preparing.environment["KERNSYM_TOKEN"] = "s3cret"
    shared = preparing.home / "shared"
    with shared_server(preparing) as url:
        preparing("--server", url, "--store", preparing.home / "other", "fetch", VMCORE)
        wait_until_prepared(shared)
        yield url


def test_a_client_copies_it_instead_of_the_original(preparing: Kernsym, server: str) -> None:
    done = preparing("--server", server, "crash", VMCORE, text=COMMANDS)
    assert_everything_is_there(done.stdout)
    mine = next(filter(None, [held(preparing.store)]))
    assert mine.prepared is not None
    assert mine.first(FileRole.VMLINUX) is None
    printed = preparing("--server", server, "crash", "--print", "--no-sources", VMCORE).stdout
    assert str(preparing.store / "kernels" / KERNEL.key / "prepared") in printed
    files = f"{server}/api/v1/kernels/{KERNEL.key}/files"
    with urllib.request.urlopen(f"{files}/{mine.prepared.path}") as answer:
        assert int(answer.headers["Content-Length"]) == mine.prepared.size
    vmlinux = preparing("--server", server, "fetch", VMCORE).stdout.strip()
    assert Path(vmlinux).stat().st_size > 0, "whoever asks for vmlinux gets the original"
    build_id = mine.verification.build_id
    with urllib.request.urlopen(f"{server}/buildid/{build_id}/debuginfo") as answer:
        assert answer.read() == Path(vmlinux).read_bytes()
    both = json.loads(preparing("--server", server, "show", "--json", KERNEL.key).stdout)
    assert both["prepared"]["sha256"] == mine.prepared.sha256


def test_a_store_that_has_only_the_copy_gets_the_original_from_a_package(
    preparing: Kernsym, server: str
) -> None:
    preparing("--server", server, "crash", "--no-sources", VMCORE, text="quit\n")
    assert next(filter(None, [held(preparing.store)])).first(FileRole.VMLINUX) is None
    vmlinux = preparing("fetch", VMCORE).stdout.strip()
    mine = next(filter(None, [held(preparing.store)]))
    assert mine.first(FileRole.VMLINUX) is not None
    assert mine.usable_copy() is not None
    assert Path(vmlinux).is_file()
