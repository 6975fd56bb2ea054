"""Threads that stand back behind the event loop, which alone keeps its priority."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from kernsym.server.threads import stand_back
from kernsym.server.unpack.codecs.ahead import in_order


def priority() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_stands_back_alone_and_as_far_as_there_is_room() -> None:
    before = priority()
    with ThreadPoolExecutor(1, initializer=stand_back, initargs=(3,)) as thread:
        assert thread.submit(priority).result() == min(before + 3, 19)
        thread.submit(stand_back, 100).result()
        assert thread.submit(priority).result() == 19
    assert priority() == before


def test_decoders_stand_back_behind_their_reader() -> None:
    def part() -> Iterator[bytes]:
        yield str(priority()).encode()

    before = priority()
    with in_order([part(), part()], 2) as pieces:
        assert {int(piece) for piece in pieces} == {min(before + 8, 19)}
    assert priority() == before
