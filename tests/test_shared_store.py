"""A store that may not be written, and one that several users share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import KERNEL, Kernsym
from tests.server.test_bad_disks import AS_ANYBODY
from tests.server.world_store import fill_with_world
from tests.story import COMMANDS, VMCORE, assert_everything_is_there

TEAM, ANNA, BORIS = 54321, 54322, 54323
# Reading everything, as the tests lie somewhere; writing only what the permissions allow.
READS_ALL = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the world's kernel."""
    folder = tmp_path_factory.mktemp("filled")
    fill_with_world(folder / "store", folder)
    return folder / "store"


@pytest.fixture
def read_only(filled: Path, kernsym: Kernsym) -> Iterator[Kernsym]:
    """The command on a store that nobody may write, root included."""
    shutil.copytree(filled, kernsym.store, symlinks=True)
    paths = [kernsym.store, *(p for p in kernsym.store.rglob("*") if not p.is_symlink())]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    yield kernsym
    for path in paths:
        path.chmod(path.stat().st_mode | 0o200)


def run(
    kernsym: Kernsym, *arguments: str | Path, before: tuple[str, ...], text: str = ""
) -> subprocess.CompletedProcess[str]:
    """The command, run by another one."""
    return subprocess.run(
        [*before, sys.executable, "-m", "kernsym.client", *map(str, arguments)],
        input=text,
        capture_output=True,
        text=True,
        cwd="/",
        env={**os.environ, **kernsym.environment, "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=120,
    )


def test_a_store_that_may_not_be_written_is_used(read_only: Kernsym) -> None:
    before = AS_ANYBODY if os.geteuid() == 0 else ()
    session = run(read_only, "crash", VMCORE, before=before, text=COMMANDS)
    assert session.returncode == 0, session.stderr
    assert_everything_is_there(session.stdout)
    for words in (["ls"], ["show", KERNEL.uname], ["du"], ["fetch", "--sources", VMCORE]):
        done = run(read_only, *words, before=before)
        assert done.returncode == 0 and done.stdout, (words, done.stderr)
    printed = run(read_only, "crash", "--print", VMCORE, before=before)
    assert printed.returncode == 0 and str(VMCORE) in printed.stdout, printed.stderr
    for words in (["pin", KERNEL.uname], ["rm", KERNEL.uname]):
        refused = run(read_only, *words, before=before)
        assert refused.returncode == 2 and "error[store-unwritable]" in refused.stderr
    kept = run(read_only, "gc", "--max-size", "1", before=before)
    assert kept.returncode == 0 and "it could not be removed" in kept.stdout


def test_what_is_written_to_a_shared_store_is_the_groups(kernsym: Kernsym) -> None:
    kernsym.store.mkdir()
    kernsym.store.chmod(0o2770)
    before = ("sh", "-c", 'umask 077 && exec "$@"', "sh")
    done = run(kernsym, "fetch", "--sources", VMCORE, before=before)
    assert done.returncode == 0, done.stderr
    for path in kernsym.store.rglob("*"):
        if not path.is_symlink():
            wanted = 0o070 if path.is_dir() else 0o060
            assert path.stat().st_mode & wanted == wanted, path
            assert path.stat().st_mode & 0o007 == 0, path


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_two_users_share_a_store(kernsym: Kernsym) -> None:
    kernsym.store.mkdir()
    os.chown(kernsym.store, ANNA, TEAM)
    kernsym.store.chmod(0o2770)
    kernsym.home.chmod(0o755)

    def of(user: int) -> tuple[str, ...]:
        who = f"--reuid={user}", f"--regid={user}", f"--groups={TEAM}"
        return ("setpriv", *who, *READS_ALL, "--", "sh", "-c", 'umask 077 && exec "$@"', "sh")

    done = run(kernsym, "fetch", VMCORE, before=of(ANNA))
    assert done.returncode == 0, done.stderr
    done = run(kernsym, "fetch", "--sources", "--all-modules", VMCORE, before=of(BORIS))
    assert done.returncode == 0, done.stderr
    assert {path.stat().st_uid for path in kernsym.store.rglob("*")} == {ANNA, BORIS}
    assert {path.lstat().st_gid for path in kernsym.store.rglob("*")} == {TEAM}
    assert run(kernsym, "pin", KERNEL.uname, before=of(BORIS)).returncode == 0
    assert run(kernsym, "unpin", KERNEL.uname, before=of(ANNA)).returncode == 0
    gone = run(kernsym, "rm", KERNEL.uname, before=of(ANNA))
    assert gone.returncode == 0, gone.stderr
    assert not list((kernsym.store / "kernels").iterdir())
