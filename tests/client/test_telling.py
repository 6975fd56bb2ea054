"""What crash is told while it runs: by the real one on the bundled world, and by a script."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.client.debuggers.crash_command import (
    Commands,
    CrashCommand,
    Symbols,
    crash_command,
    first_commands,
    knock,
    listing,
)
from kernsym.client.debuggers.crash_session import private_folder, read_listed, run_crash
from kernsym.client.debuggers.matching import match_modules
from kernsym.client.debuggers.modules import LoadedModule
from kernsym.client.debuggers.programs import find_crash
from kernsym.distros import NotPublished
from tests.client.conftest import WorldKernel
from tests.client.test_session import script, table_rows
from tests.conftest import FACTS
from tests.processes import wait_for


def test_crash_is_asked_for_its_modules_and_told_their_files(
    world_kernel: WorldKernel, capfd: pytest.CaptureFixture[str]
) -> None:
    asked: list[LoadedModule] = []

    def batches(folder: Path) -> Iterator[Commands]:
        yield listing(folder, os.getpid())
        asked.extend(read_listed(folder))
        chosen = match_modules(asked, world_kernel.bundle).chosen
        files = tuple((module.name, world_kernel.folder / file.path) for module, file in chosen)
        yield first_commands(Symbols(modules=files[1:]), folder, extra_input=("mod", "q"))

    with private_folder() as folder:
        vmlinux = (world_kernel.vmlinux,)
        made = crash_command(find_crash().path, FACTS, vmlinux, folder, knock(folder, os.getpid()))
        assert run_crash(made, folder, batches=batches(folder)) == 0
    names = [module.name for module in asked]
    assert sorted(names) == ["configfs", "crc_ccitt", "exportfs", "overlay"]
    rows = table_rows(capfd.readouterr().out)
    assert rows.pop(names[0]) == "(not"  # loaded
    assert all(path.endswith(".ko") for path in rows.values())


def talking(folder: Path, body: str) -> CrashCommand:
    """A script in the place of crash that knocks, and then does what `body` says."""
    return script(folder, f"{_knock(folder)}; {body}")


def _knock(folder: Path) -> str:
    """What crash gives to a shell."""
    return f"sh -c '{knock(folder, os.getpid()).lines[0][1:]}'"


def test_what_cannot_be_told_ends_crash(tmp_path: Path) -> None:
    def batches() -> Iterator[Commands]:
        raise NotPublished("gone", "nobody has it")
        yield

    with pytest.raises(NotPublished, match="nobody has it"):
        run_crash(talking(tmp_path, "exit 3"), tmp_path, batches=batches())


def test_crash_does_not_outlive_who_would_tell_it(tmp_path: Path) -> None:
    made = talking(tmp_path, "echo survived > survived")
    with pytest.raises(ProcessLookupError):
        os.kill(NOBODY, 0)
    line = Path(made.argv[0]).read_text().replace(f"-0 {os.getpid()} ", f"-0 {NOBODY} ")
    Path(made.argv[0]).write_text(line)
    assert run_crash(made, tmp_path, batches=iter([Commands(lines=())])) == 137
    assert not (tmp_path / "survived").exists()


NOBODY = 2**22 + 1  # above the highest process id of Linux


def test_crash_is_told_one_batch_for_each_knock(tmp_path: Path) -> None:
    def batches() -> Iterator[Commands]:
        yield Commands(lines=("one",), files=(("file", "text"),), knocks=True)
        yield Commands(lines=("two", "three"))

    made = talking(
        tmp_path, f"cp commands first; {_knock(tmp_path)}; cp commands second; cp file third"
    )
    made = replace(made, files=(("commands", "zero\n"),))
    assert run_crash(made, tmp_path, directory=tmp_path, batches=batches()) == 0
    assert (tmp_path / "first").read_text().split() == ["zero", "one"]
    assert (tmp_path / "second").read_text().split() == ["zero", "one", "two", "three"]
    assert (tmp_path / "third").read_text() == "text"


def test_crash_that_ends_before_it_knocks(tmp_path: Path) -> None:
    batches = iter([Commands(lines=("mod",))])
    assert run_crash(script(tmp_path, "exit 1"), tmp_path, batches=batches) == 1


def test_control_c_ends_crash_while_it_waits_for_its_commands(tmp_path: Path) -> None:
    made = script(tmp_path, "echo > up; read answered < ready")
    process = subprocess.Popen(
        [sys.executable, "-c", _WAIT, made.argv[0]],
        cwd=tmp_path,
        start_new_session=True,
        stderr=subprocess.PIPE,
    )
    wait_for((tmp_path / "up").exists)
    os.killpg(process.pid, signal.SIGINT)
    _, error = process.communicate(timeout=20)
    assert b"KeyboardInterrupt" in error


_WAIT = """
import sys, time
from pathlib import Path
from kernsym.client.debuggers.crash_command import CrashCommand
from kernsym.client.debuggers.crash_session import run_crash
def batches():
    time.sleep(60)
    yield
command = CrashCommand(argv=(sys.argv[1],), files=(), links=())
run_crash(command, Path.cwd(), batches=batches())
"""
