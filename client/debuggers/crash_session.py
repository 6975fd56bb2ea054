"""Runs crash: its private folder, working directory, signals, and what it is told while it runs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType

from kernsym.client.debuggers.crash_command import (
    BEGUN,
    INPUT_FILE,
    KNOCK,
    LISTED,
    READY,
    TAINTED,
    Commands,
    CrashCommand,
    as_text,
    is_plain,
)
from kernsym.client.debuggers.module_table import parse_module_table
from kernsym.client.debuggers.modules import LoadedModule
from kernsym.distros import Unusable

# For crash to end when it is told to.
_PATIENCE_SECONDS = 3.0


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


def write_files(command: CrashCommand | Commands, folder: Path) -> None:
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
    batches: Iterator[Commands] | None = None,
) -> int:
    """Run crash on the terminal and return its exit status, 128+N when signal N ended it.

    Where the command says how, it is started once more when it ended before its first command.
    `directory` is its working directory, None: ours.  `batches`: what crash is told when it knocks,
    one for each knock; a thread takes them, the first at once.  What they raise ends crash and is
    raised; until the last of them is told Ctrl-C ends crash too (`KeyboardInterrupt`).
    """
    write_files(command, folder)
    environment = dict(os.environ)
    if not environment.get("HOME"):
        environment.pop("HOME", None)  # crash's gdb aborts on an empty one
    process = _Process(directory, environment)
    with contextlib.ExitStack() as stack:
        if batches is not None:
            stack.enter_context(_telling(folder, batches, process))
        status = process.run(command.argv)
        if status > 0 and command.argv_again and not (folder / BEGUN).exists():
            added = [word for word in command.argv_again if word not in command.argv]
            print(f"crash did not start; once more with {' '.join(added)}", file=sys.stderr)
            status = process.run(command.argv_again)
    return 128 - status if status < 0 else status


def read_listed(folder: Path) -> tuple[LoadedModule, ...]:
    """The modules that crash has listed (`crash.listing`)."""
    listed, tainted = (
        (folder / name).read_text(errors="replace") if (folder / name).exists() else ""
        for name in (LISTED, TAINTED)
    )
    return parse_module_table(listed, tainted)


class _Process:
    """crash, running now or not.  `waits`: it was not told all of its first commands yet."""

    def __init__(self, directory: Path | None, environment: dict[str, str]) -> None:
        self.waits = False
        self._directory = directory
        self._environment = environment
        self._running: subprocess.Popen[bytes] | None = None
        self._error: BaseException | None = None

    def end(self, error: BaseException) -> None:
        """End it, and let `run` raise the error."""
        self._error = error
        if self._running is not None:
            self._running.kill()

    def run(self, argv: Sequence[str]) -> int:
        """Run it to its end.  Raises what it was ended for, `Unusable` (`crash-broken`)."""
        # The terminal sends SIGINT and SIGQUIT to crash too, which interrupts its command; a
        # handler, unlike SIG_IGN, is not inherited.
        handlers = {
            signal.SIGINT: self._interrupt,
            signal.SIGQUIT: self._interrupt,
            signal.SIGTERM: self._pass_on,
            signal.SIGHUP: self._pass_on,
        }
        previous = {
            number: signal.signal(number, handler)
            for number, handler in handlers.items()
            if signal.getsignal(number) is not signal.SIG_IGN  # nohup: leave it so
        }
        try:
            self._running = subprocess.Popen(argv, cwd=self._directory, env=self._environment)
            if self._error is not None:  # from before it ran
                self._running.kill()
            status = self._running.wait()
        except OSError as error:
            raise Unusable(
                "crash-broken",
                f"{argv[0]} does not start: {error.strerror}",
                hint="run kernsym doctor",
            ) from error
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)
        if self._error is not None:
            raise self._error
        return status

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.waits:
            self.end(KeyboardInterrupt())

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        if self._running is not None:
            self._running.send_signal(number)
            # At its prompt, or in a loop, crash does not heed them: gdb has taken the handlers.
            killer = threading.Timer(_PATIENCE_SECONDS, self._running.kill)
            killer.daemon = True
            killer.start()


@contextlib.contextmanager
def _telling(folder: Path, batches: Iterator[Commands], process: _Process) -> Iterator[None]:
    """Tell crash its commands, from a thread."""
    os.mkfifo(folder / KNOCK)
    os.mkfifo(folder / READY)
    # Open at both ends, so that neither side waits for the other to open.
    knock = os.open(folder / KNOCK, os.O_RDWR)
    ready = os.open(folder / READY, os.O_RDWR)
    stop = b"."

    def tell() -> None:
        heard = b""
        for batch in batches:
            heard = heard or os.read(knock, 1)
            if heard == stop:
                return
            write_files(batch, folder)
            with (folder / INPUT_FILE).open("a") as file:
                file.write(as_text(batch.lines))
            process.waits = batch.knocks
            os.write(ready, b"\n")
            heard = os.read(knock, 1) if batch.knocks else b""

    def guarded() -> None:
        try:
            tell()
        except BaseException as error:  # crash would wait for ever
            process.end(error)

    process.waits = True
    thread = threading.Thread(target=guarded, name="commands-for-crash", daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.write(knock, stop)
        thread.join(_PATIENCE_SECONDS)
        if not thread.is_alive():
            os.close(knock)
            os.close(ready)
