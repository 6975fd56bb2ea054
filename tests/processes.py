"""Programs under test: a terminal for them, waiting for what they do, finding them."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

from tests.conftest import Kernsym


def start_at_terminal(
    kernsym: Kernsym, *arguments: str | Path
) -> tuple[subprocess.Popen[bytes], int]:
    """The command with a terminal of its own as standard input, output and error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "kernsym.client", *map(str, arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=kernsym.home,
        env={**os.environ, **kernsym.environment, "TERM": "dumb"},
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    return process, ours


def read_until(terminal: int, text: bytes, seconds: float = 60) -> bytes:
    seen = b""
    end = time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, seen.decode(errors="replace")
        seen += os.read(terminal, 65536)
    return seen


def drain(terminal: int) -> None:
    """Read to the end, which a closed terminal shows as an error."""
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:
        os.close(terminal)


def wait_for(condition: Callable[[], object], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def embedded_servers(kernsym: Kernsym) -> list[int]:
    """The process ids of the servers that work on the store of a test."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if "kernsym.server" in command and str(kernsym.store) in command:
            found.append(int(path.parent.name))
    return found
