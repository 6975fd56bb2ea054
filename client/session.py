"""Runs crash: its private folder, working directory, signals, and its questions for modules."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from kernsym.client.crash import (
    ANSWER,
    BEGUN,
    KNOCK,
    LISTED,
    MODULES,
    READY,
    TAINTED,
    CrashCommand,
    is_plain,
)
from kernsym.client.module_table import parse_module_table
from kernsym.client.modules import LoadedModule
from kernsym.distros import KernsymError, Unusable


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleFiles:
    """The answer to crash's question: object files by module name, and text for the user."""

    files: tuple[tuple[str, Path], ...]
    text: str = ""


# For crash to end when it is told to; for the answer to its question when the user leaves first.
_PATIENCE_SECONDS = 3.0

FindModules = Callable[[tuple[LoadedModule, ...]], ModuleFiles]


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only the user can enter, gone afterwards; its path is plain for crash."""
    candidates = (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp")
    parents = [Path(name) for name in candidates if name]
    parent = next((p for p in parents if is_plain(p) and os.access(p, os.W_OK)), None)
    if parent is None:
        raise Unusable(
            "no-temporary-folder",
            "there is no folder for crash's temporary files",
            context=tuple(f"not writable, or an odd name: {path}" for path in parents),
            hint="set TMPDIR to a writable folder without blanks in its name",
        )
    with tempfile.TemporaryDirectory(prefix="kernsym-", dir=parent) as folder:
        yield Path(folder)


def write_files(command: CrashCommand, folder: Path) -> None:
    """Put what the command refers to into the folder that it was made for."""
    for name, text in command.files:
        (folder / name).write_text(text)
    for name, target in command.links:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(target)


def stray_startup_file(directory: Path) -> Path | None:
    """A file of commands that crash or its gdb would take from the directory, unless it is home.

    crash executes `./.crashrc` without asking; gdb complains at length of `./.gdbinit`.
    """
    home = os.environ.get("HOME")
    if home and directory.resolve() == Path(home).resolve():
        return None
    names = (directory / ".crashrc", directory / ".gdbinit")
    return next((path for path in names if os.path.lexists(path)), None)


def run_crash(
    command: CrashCommand,
    folder: Path,
    *,
    directory: Path | None = None,
    find_modules: FindModules | None = None,
) -> int:
    """Run crash on the terminal and return its exit status, 128+N when signal N ended it.

    Where the command says how, it is started once more when it ended before its first command.
    `directory` is its working directory, None: ours.  `find_modules` must be given when the
    command calls back.
    """
    write_files(command, folder)
    environment = dict(os.environ)
    if not environment.get("HOME"):
        environment.pop("HOME", None)  # crash's gdb aborts on an empty one
    with contextlib.ExitStack() as stack:
        if command.calls_back and find_modules is not None:
            stack.enter_context(_answering(folder, find_modules))
        status = _run(command.argv, directory, environment)
        if status > 0 and command.argv_again and not (folder / BEGUN).exists():
            added = [word for word in command.argv_again if word not in command.argv]
            print(f"crash did not start; once more with {' '.join(added)}", file=sys.stderr)
            status = _run(command.argv_again, directory, environment)
    return 128 - status if status < 0 else status


def _run(argv: Sequence[str], directory: Path | None, environment: dict[str, str]) -> int:
    process: subprocess.Popen[bytes] | None = None

    def pass_on(number: int, frame: FrameType | None) -> None:
        if process is not None:
            process.send_signal(number)
            # At its prompt, or in a loop, crash does not heed them: gdb has taken the handlers.
            killer = threading.Timer(_PATIENCE_SECONDS, process.kill)
            killer.daemon = True
            killer.start()

    # The terminal sends SIGINT and SIGQUIT to crash too, which interrupts its command; a handler,
    # unlike SIG_IGN, is not inherited.
    handlers = {
        signal.SIGINT: _leave_to_crash,
        signal.SIGQUIT: _leave_to_crash,
        signal.SIGTERM: pass_on,
        signal.SIGHUP: pass_on,
    }
    previous = {
        number: signal.signal(number, handler)
        for number, handler in handlers.items()
        if signal.getsignal(number) is not signal.SIG_IGN  # nohup: leave it so
    }
    try:
        process = subprocess.Popen(argv, cwd=directory, env=environment)
        return process.wait()
    except OSError as error:
        raise Unusable(
            "crash-broken", f"{argv[0]} does not start: {error.strerror}", hint="run kernsym doctor"
        ) from error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _leave_to_crash(number: int, frame: FrameType | None) -> None:
    pass


@contextlib.contextmanager
def _answering(folder: Path, find_modules: FindModules) -> Iterator[None]:
    """Answer the command's knock, once, from a thread."""
    (folder / MODULES).mkdir()
    os.mkfifo(folder / KNOCK)
    os.mkfifo(folder / READY)
    # Open at both ends, so that neither side waits for the other to open.
    knock = os.open(folder / KNOCK, os.O_RDWR)
    ready = os.open(folder / READY, os.O_RDWR)
    stop = b"."

    def answer() -> None:
        if os.read(knock, 1) == stop:
            return
        text = "kernsym: the files of the modules could not be found\n"
        try:
            text = _prepare_modules(folder, find_modules)
        finally:  # whatever happened, crash waits for these
            (folder / ANSWER).write_text(text)
            os.write(ready, b"\n")

    thread = threading.Thread(target=answer, name="modules-for-crash", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(knock, stop)
        thread.join(_PATIENCE_SECONDS)
        if not thread.is_alive():
            os.close(knock)
            os.close(ready)


def _prepare_modules(folder: Path, find_modules: FindModules) -> str:
    """Link the object files under the names that `mod -S` looks for; the text for the user."""
    listed, tainted = (
        (folder / name).read_text(errors="replace") if (folder / name).exists() else ""
        for name in (LISTED, TAINTED)
    )
    try:
        found = find_modules(parse_module_table(listed, tainted))
    except KernsymError as error:
        return f"kernsym: no symbols of modules: {error.message}\n"
    for name, path in found.files:
        (folder / MODULES / f"{name}.ko").symlink_to(path)
    return found.text
