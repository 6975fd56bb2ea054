"""Promises hold a pass back; names, time or the end of the job let it go on."""

from __future__ import annotations

import threading

from kernsym.server.jobs.wanted import Wanted


def test_names_are_in_the_kernels_spelling() -> None:
    wanted = Wanted()
    wanted.add(["snd-hda-intel", "ext4"], everything=False)
    assert wanted.names() == {"snd_hda_intel", "ext4"}


def _settles_after(wanted: Wanted, act: threading.Thread | None = None) -> bool:
    done = threading.Event()

    def settle() -> None:
        wanted.settle()
        done.set()

    waiter = threading.Thread(target=settle)
    waiter.start()
    held_back = not done.wait(0.05)
    if act is not None:
        act.start()
        act.join()
    waiter.join(5)
    return held_back and done.is_set()


def test_a_promise_holds_back_until_it_is_redeemed() -> None:
    wanted = Wanted()
    wanted.add(None, everything=False)
    assert wanted.promised
    redeem = threading.Thread(target=wanted.add, args=(["ext4"],), kwargs={"everything": False})
    assert _settles_after(wanted, redeem)
    assert not wanted.promised


def test_an_empty_list_redeems_a_promise_too() -> None:
    wanted = Wanted()
    wanted.add(None, everything=False)
    wanted.add([], everything=False)
    wanted.settle()
    assert not wanted.promised


def test_the_end_of_the_job_lets_go() -> None:
    wanted = Wanted()
    wanted.add(None, everything=False)
    assert _settles_after(wanted, threading.Thread(target=wanted.close))


def test_who_wants_everything_promises_nothing() -> None:
    wanted = Wanted()
    wanted.add(None, everything=True)
    wanted.settle()
    assert wanted.everything and not wanted.promised
