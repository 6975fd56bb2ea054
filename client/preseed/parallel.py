"""Work for a few threads that are left behind when the command ends: each waits for a server."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    work: Callable[[T], R],
    inputs: Iterable[T],
    *,
    threads: int,
    tick: Callable[[], None] = lambda: None,
    seconds: float = 0.25,
) -> Iterator[R]:
    """The results as they come; what `work` raises is raised here, and nothing more begun.

    `inputs` is iterated by the threads, one at a time; `tick` is called now and then while there
    is nothing to yield.
    """
    results: queue.Queue[tuple[R | None, BaseException | None, bool]] = queue.Queue()
    turn, source = threading.Lock(), iter(inputs)
    stopped = threading.Event()

    def run() -> None:
        try:
            while not stopped.is_set():
                with turn:
                    one = next(source)
                results.put((work(one), None, False))
        except StopIteration:
            results.put((None, None, True))
        except BaseException as error:
            results.put((None, error, True))

    for number in range(threads):
        threading.Thread(target=run, name=f"preseed-{number}", daemon=True).start()
    running = threads
    try:
        while running:
            try:
                result, error, ended = results.get(timeout=seconds)
            except queue.Empty:
                tick()
                continue
            if error is not None:
                raise error
            running -= ended
            if not ended:
                yield result  # type: ignore[misc]
    finally:
        stopped.set()
