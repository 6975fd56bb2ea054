"""Running crash: the real one on the bundled world; a script in its place for what ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.client.debuggers.crash_command import (
    CrashCommand,
    Symbols,
    crash_command,
    first_commands,
)
from kernsym.client.debuggers.crash_session import (
    private_folder,
    run_crash,
    stray_startup_file,
    write_files,
)
from kernsym.client.debuggers.programs import find_crash
from kernsym.distros import Unusable
from tests.client.conftest import WorldKernel
from tests.conftest import FACTS


def script(folder: Path, body: str) -> CrashCommand:
    program = folder / "crash"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return CrashCommand(argv=(str(program),), files=(), links=())


def ask_crash(
    vmlinux: Path, symbols: Symbols, commands: str, capfd: pytest.CaptureFixture[str]
) -> str:
    """What the real crash prints to commands that follow the first ones in its input file."""
    with private_folder() as folder:
        first = first_commands(symbols, folder, extra_input=commands.splitlines())
        made = crash_command(find_crash().path, FACTS, (vmlinux,), folder, first)
        assert run_crash(made, folder) == 0
    return capfd.readouterr().out


def table_rows(output: str) -> dict[str, str]:
    """The object file column of `mod` by module."""
    rows = (line.split() for line in output.splitlines() if ".ko" in line or "(not loaded)" in line)
    return {row[1]: row[4] for row in rows}


def test_modules_that_were_matched_have_their_object_files(
    world_kernel: WorldKernel, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """One lies where crash's language cannot spell the path."""
    odd = tmp_path / "it's | odd"
    odd.mkdir()
    files = [(f.name, world_kernel.folder / f.path) for f in world_kernel.bundle.files if f.name]
    (odd / "overlay.ko").write_bytes(dict(files)["overlay"].read_bytes())
    modules = tuple((name, path) for name, path in files if name != "overlay")
    symbols = Symbols(modules=(*modules, ("overlay", odd / "overlay.ko")))
    output = ask_crash(world_kernel.vmlinux, symbols, "mod\nsym ovl_fill_super\nq", capfd)
    rows = table_rows(output)
    assert sorted(rows) == ["configfs", "crc_ccitt", "exportfs", "overlay"]
    assert all(path.endswith(".ko") for path in rows.values())
    assert "ovl_fill_super [overlay]" in output


def test_sources_may_come_while_the_user_works(
    world_kernel: WorldKernel, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Even after a `list` that found none, and when the folder itself was not there."""
    tree, ready = tmp_path / "linux", tmp_path / "kernel"
    ready.mkdir()
    (ready / "panic.c").write_text("".join(f"line {n} of panic.c\n" for n in range(1, 900)))
    commands = (
        f"gdb list panic\n!mkdir {tree}\n!mv {ready} {tree}/kernel\ngdb list panic\ngdb list\nq"
    )
    symbols = Symbols(sources=tree)
    output = ask_crash(world_kernel.vmlinux, symbols, commands, capfd)
    assert "No such file" in output
    found = [int(line.split()[0]) for line in output.splitlines() if "of panic.c" in line]
    assert len(found) == 20 and found == list(range(found[0], found[0] + 20))


@pytest.mark.parametrize(
    ("body", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 143), ("kill -9 $$", 137)]
)
def test_the_exit_status_is_that_of_crash(tmp_path: Path, body: str, status: int) -> None:
    assert run_crash(script(tmp_path, body), tmp_path) == status


@pytest.mark.parametrize(
    ("first", "status", "starts"),
    [
        ("exit 1", 3, ["one", "two"]),  # it did not get to its input
        ("touch begun; exit 1", 1, ["one"]),  # it did: the user's own end of it
        ("exit 0", 0, ["one"]),
        ("kill -KILL $$", 137, ["one"]),
    ],
)
def test_crash_that_ends_before_its_prompt_is_started_once_more(
    tmp_path: Path, first: str, status: int, starts: list[str]
) -> None:
    made = script(tmp_path, f"echo $1 >> starts; [ $1 = two ] && exit 3; {first}")
    (program,) = made.argv
    made = replace(made, argv=(program, "one"), argv_again=(program, "two"))
    assert run_crash(made, tmp_path, directory=tmp_path) == status
    assert (tmp_path / "starts").read_text().split() == starts


def test_a_program_that_does_not_start(tmp_path: Path) -> None:
    made = script(tmp_path, "")
    Path(made.argv[0]).write_text("#!/no/such/interpreter\n")
    with pytest.raises(Unusable) as caught:
        run_crash(made, tmp_path)
    assert caught.value.code == "crash-broken"


def test_control_c_is_for_crash_and_we_live_on(tmp_path: Path) -> None:
    made = script(tmp_path, "trap 'echo caught >> caught' INT\necho > up\nsleep 1\nsleep 1\nexit 5")
    process = subprocess.Popen(
        [sys.executable, "-c", _RUN, made.argv[0]], cwd=tmp_path, start_new_session=True
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "up").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(timeout=20) == 5
    assert (tmp_path / "caught").read_text() == "caught\n"


_RUN = """
import sys
from pathlib import Path
from kernsym.client.debuggers.crash_command import CrashCommand
from kernsym.client.debuggers.crash_session import run_crash
command = CrashCommand(argv=(sys.argv[1],), files=(), links=())
sys.exit(run_crash(command, Path.cwd()))
"""


def test_a_signal_to_us_ends_crash_too(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert run_crash(script(tmp_path, "exec sleep 30"), tmp_path) == 143
    timer.join()
    assert signal.getsignal(signal.SIGTERM) is before


def test_crash_that_does_not_heed_the_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kernsym.client.debuggers.crash_session._PATIENCE_SECONDS", 0.3)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    assert run_crash(script(tmp_path, "trap '' TERM; exec sleep 30"), tmp_path) == 137


def test_an_empty_home_is_not_handed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    assert run_crash(script(tmp_path, 'exit "${HOME+1}"'), tmp_path) != 1


def test_the_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / "my files"
    odd.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(odd))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with private_folder() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").touch()
    assert not folder.exists()


def test_files_and_links_are_written(tmp_path: Path) -> None:
    made = CrashCommand(argv=(), files=(("commands", "mod\n"),), links=(("links/a", Path("/x")),))
    write_files(made, tmp_path)
    assert (tmp_path / "commands").read_text() == "mod\n"
    assert (tmp_path / "links/a").readlink() == Path("/x")


@pytest.mark.parametrize("name", [".crashrc", ".gdbinit"])
def test_startup_files_beside_a_dump(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert stray_startup_file(tmp_path) is None
    (tmp_path / name).symlink_to("anything")
    assert stray_startup_file(tmp_path) == tmp_path / name
    monkeypatch.setenv("HOME", str(tmp_path))
    assert stray_startup_file(tmp_path) is None  # the user's own
