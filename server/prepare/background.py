"""Has copies prepared, one after the other, each by a process of its own in the background."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

from kernsym.cache import Store
from kernsym.cache.messages import Part
from kernsym.distros import Kernel, KernsymError
from kernsym.server.config import Options
from kernsym.server.jobs import Job
from kernsym.server.prepare.copying import failure, is_wanted

log = logging.getLogger(__name__)


class Preparer:
    """`lasting`: the server works for many and ends what it began; else it is there for one
    command, and what it began goes on without it."""

    def __init__(self, store: Store, options: Options, *, lasting: bool) -> None:
        self._store = store
        self._least = options.prepare_above_mb << 20
        self._enabled = options.prepare
        self._lasting = lasting
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._guard = threading.Lock()
        self._running: subprocess.Popen[bytes] | None = None
        self._closed = False

    def consider(self, kernel: Kernel) -> None:
        """A kernel is used: it may need a copy."""
        if self._enabled:
            self._waiting.put(kernel.key)

    def ended(self, job: Job, error: KernsymError | None) -> None:
        """A job has ended, and may have brought a kernel."""
        if error is None and job.part is Part.SYMBOLS:
            self.consider(job.kernel)

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        # A daemon: whoever ends does not wait for it.
        threading.Thread(target=self._work, name="prepare", daemon=True).start()
        try:
            yield
        finally:
            with self._guard:
                self._closed = True
                if self._lasting and self._running is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(self._running.pid, signal.SIGTERM)  # gdb is in its group too

    def _work(self) -> None:
        while not self._closed:
            key = self._waiting.get()
            with contextlib.suppress(KernsymError, OSError):
                self._prepare(key)

    def _prepare(self, key: str) -> None:
        bundle = self._store.bundle_by_key(key)
        if bundle is None or shutil.which("gdb") is None:
            return
        if not is_wanted(self._store, bundle, self._least):
            return
        about = {"kernel": key}
        log.info("a prepared copy of vmlinux is being made", extra=about)
        status = self._run(key)
        if status == 0:
            log.info("the prepared copy of vmlinux is held", extra=about)
        elif why := failure(self._store, bundle):
            log.warning("no prepared copy of vmlinux: %s", why.strip(), extra=about)

    def _run(self, key: str) -> int:
        """The status of the process, which is not zero when there is no copy."""
        with self._guard:
            if self._closed:
                return 1
            self._running = subprocess.Popen(
                [sys.executable, "-m", "kernsym.server.prepare", str(self._store.root), key],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        status = self._running.wait()
        with self._guard:
            self._running = None
        return status
