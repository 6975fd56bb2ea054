"""What a person sees: progress and messages on stderr, answers on stdout.

Colour and movement only on a terminal; NO_COLOR is honoured; every line stands by itself.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, TextIO

from kernsym.distros import KernsymError

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_LABEL_WIDTH = 10
_FIRST_SECONDS = 1.0  # shorter work shows no bar
_PLAIN_SECONDS = 15.0  # without a terminal: a line this often


class Reporter:
    """Writes to stderr.  `quiet`: only errors; `verbose`: details too; `moving`: bars allowed."""

    def __init__(
        self,
        *,
        quiet: bool = False,
        verbose: bool = False,
        moving: bool = True,
        stream: TextIO | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._quiet = quiet
        self._verbose = verbose
        terminal = self._stream.isatty()
        self._colour = terminal and not os.environ.get("NO_COLOR")
        self._moving = moving and terminal and not quiet
        self._bar: tuple[str, Progress, TaskID] | None = None
        self._began: tuple[str, float, float] | None = None

    def line(self, label: str, text: str) -> None:
        """One finding: a word for what it is about, and the sentence."""
        self.end_progress()
        if not self._quiet:
            self._write(f"{self._style('1', label.ljust(_LABEL_WIDTH))} {text}")

    def detail(self, label: str, text: str) -> None:
        """A finding for those who asked for more (-v)."""
        if self._verbose:
            self.line(label, text)

    def warning(self, text: str) -> None:
        self.end_progress()
        if not self._quiet:
            self._write(f"{self._style('33', 'warning:')} {text}")

    def error(self, error: KernsymError) -> None:
        """The error with its code, context and hint."""
        self.end_progress()
        self._write(f"{self._style('1;31', f'error[{error.code}]:')} {error.message}")
        for text in error.context:
            self._write(f"  {text}")
        if error.hint:
            self._write(f"{self._style('36', 'hint:')} {error.hint}")

    def progress(self, label: str, done: int, total: int | None, *, of: str = "") -> None:
        """How many bytes of some work are done, or how many `of` what is named; shown after a
        second."""
        now = time.monotonic()
        if self._began is None or self._began[0] != label:
            self.end_progress()
            self._began = (label, now, now)
        _, began, told = self._began
        if self._quiet or now - began < _FIRST_SECONDS:
            return
        if self._moving:
            self._move(label, done, total, counts=bool(of))
        elif now - told >= _PLAIN_SECONDS:
            self._began = (label, began, now)
            text = f"{done} of {total} {of}" if of else amount(done, total)
            self._write(f"{label.ljust(_LABEL_WIDTH)} {text}")

    def end_progress(self) -> None:
        """Take the bar away; what comes next is a line."""
        self._began = None
        if self._bar is not None:
            _, bar, _ = self._bar
            self._bar = None
            bar.stop()

    def _move(self, label: str, done: int, total: int | None, *, counts: bool) -> None:
        from rich import progress as parts
        from rich.console import Console

        if self._bar is None or self._bar[0] != label:
            of_bytes = (parts.DownloadColumn(), parts.TransferSpeedColumn())
            bar = parts.Progress(
                parts.TextColumn(f"{label.ljust(_LABEL_WIDTH)}"),
                parts.BarColumn(bar_width=30),
                *((parts.MofNCompleteColumn(),) if counts else of_bytes),
                parts.TimeRemainingColumn(),
                console=Console(file=self._stream, no_color=not self._colour),
                transient=True,
            )
            bar.start()
            self._bar = (label, bar, bar.add_task("", total=total))
        _, bar, task = self._bar
        bar.update(task, completed=done, total=total)

    def _style(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        with contextlib.suppress(BrokenPipeError):
            print(printable(text), file=self._stream, flush=True)


def printable(text: str) -> str:
    """Text that may come from a dump, without what would steer a terminal.

    >>> printable("a\\x07b")
    'a\\\\x07b'
    """
    return "".join(
        character
        if character.isprintable() or (character == "\x1b" and text.startswith("\x1b["))
        else character.encode("unicode_escape").decode()
        for character in text
    )


def amount(done: int, total: int | None) -> str:
    """
    >>> amount(612_000_000, 1_100_000_000)
    '612 MB of 1.1 GB'
    """
    return f"{size(done)} of {size(total)}" if total else size(done)


def size(count: int) -> str:
    """Bytes for people, in decimal units as file managers and mirrors use.

    >>> size(633_118_720)
    '633 MB'
    """
    value = float(count)
    for unit in ("B", "kB", "MB"):
        if value < 999.5:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"
