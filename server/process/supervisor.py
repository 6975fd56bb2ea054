"""Keeps the processes of a server running: starts them, starts them again, stops them together."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from kernsym.distros import Unusable

log = logging.getLogger(__name__)

Started = Callable[[], None]
Run = Callable[[Started], int]

_SIGNALS = (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_STOP = (signal.SIGINT, signal.SIGTERM)
_START_SECONDS = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_LIVED_WELL_SECONDS = 60.0
_SET_PARENT_DEATH_SIGNAL = 1  # prctl(2)


@dataclass(slots=True)
class _Child:
    """A process.  `pid` None: it is to be started at `due`, by the monotonic clock."""

    name: str
    run: Run
    pid: int | None = None
    began: float = 0.0
    due: float = 0.0
    deaths: int = 0


class Supervisor:
    """Processes by name.  Each runs what it is given, which calls `Started` when it does its work
    and returns an exit status; it ends at SIGTERM, and with the supervisor however that ends.
    """

    def __init__(self, runs: Mapping[str, Run]) -> None:
        self._children = [_Child(name, run) for name, run in runs.items()]
        self._stopping = False

    def run(
        self, *, started: Started, reload: Callable[[], bool], stopping: Started, seconds: float
    ) -> None:
        """Keep them running until SIGTERM or SIGINT, then let them end within `seconds`.

        `reload` is called at SIGHUP, which is passed on if it says so.  A second SIGTERM or SIGINT
        ends all at once.  Raises `Unusable` (`start-failed`) when one does not even start.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        try:
            for child in self._children:
                self._start(child, before)
            started()
            while (number := self._wait(before)) not in _STOP:
                if number == signal.SIGHUP and reload():
                    self._tell(signal.SIGHUP)
            log.info("stopping at %s", signal.Signals(number).name)
            stopping()
            self._stop(seconds)
        finally:
            self._tell(signal.SIGKILL)
            self._reap()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _wait(self, mask: set[int]) -> int:
        """The next signal that is not about a child; children that died are started again."""
        while True:
            now = time.monotonic()
            for child in self._children:
                if child.pid is None and child.due <= now:
                    self._fork(child, mask)
            due = [child.due for child in self._children if child.pid is None]
            found = signal.sigtimedwait(_SIGNALS, max(0.0, min(due, default=now + 60.0) - now))
            if found is not None and found.si_signo != signal.SIGCHLD:
                return found.si_signo
            self._reap()

    def _stop(self, seconds: float) -> None:
        self._stopping = True
        self._tell(signal.SIGTERM)
        end = time.monotonic() + seconds
        while any(child.pid is not None for child in self._children):
            left = end - time.monotonic()
            found = signal.sigtimedwait(_SIGNALS, max(0.0, left))
            if found is None or found.si_signo in _STOP:
                log.warning("some processes are still at work and are ended as they stand")
                return
            self._reap()

    def _tell(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid is not None:
                os.kill(child.pid, number)

    def _reap(self) -> None:
        for child in self._children:
            if child.pid is None:
                continue
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                self._note_end(child, os.waitstatus_to_exitcode(status))

    def _note_end(self, child: _Child, status: int) -> None:
        """Have it started again, the later the more often it has died soon after its start."""
        if not self._stopping:
            how = f"signal {-status}" if status < 0 else f"status {status}"
            log.warning("the %s, process %d, ended with %s", child.name, child.pid, how)
        now = time.monotonic()
        lived_well = now - child.began >= _LIVED_WELL_SECONDS
        child.deaths = 1 if lived_well else child.deaths + 1
        pause = min(_FIRST_PAUSE * 2 ** (child.deaths - 1), _LONGEST_PAUSE)
        child.pid, child.due = None, now + pause

    def _start(self, child: _Child, mask: set[int]) -> None:
        """Start it and wait until it does its work."""
        ear = self._fork(child, mask, listen=True)
        try:
            ready, _, _ = select.select([ear], [], [], _START_SECONDS)
            if not ready or not os.read(ear, 1):
                raise Unusable("start-failed", f"the {child.name} did not start")
        finally:
            os.close(ear)

    def _fork(self, child: _Child, mask: set[int], *, listen: bool = False) -> int:
        """Start it; returns where it is heard when it does its work, if somebody listens."""
        ear, mouth = os.pipe()
        parent = os.getpid()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os.close(ear)
            _become(child, parent, mask, lambda: _say(mouth))
        os.close(mouth)
        child.pid, child.began = pid, time.monotonic()
        if not listen:
            os.close(ear)
            return -1
        return ear


def _become(child: _Child, parent: int, mask: set[int], started: Started) -> NoReturn:
    """What a new process does, to its end."""
    status = 1
    try:
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # the parent ended before it could be asked
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until it can read its configuration again
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = child.run(started)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _say(mouth: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it
        os.write(mouth, b"!")
    os.close(mouth)
