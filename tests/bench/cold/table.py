"""Runs ways to do the same work beside each other, holds the medians against the goals, and sums
up all goals in one table."""

from __future__ import annotations

import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_MOST_MEGABYTES = 250  # of memory: row 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A way to do it: a command of bash, in which {into} is an empty folder.

    `own`: kernsym's, which prints its wall seconds, without the interpreter's start, and its peak
    memory in KiB.  `needs`: the program without which it is passed over.
    """

    title: str
    command: str
    own: bool = False
    needs: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """Seconds of the whole command, of all processors, and of its work alone where it tells; and
    resident KiB at most."""

    wall: float
    cpu: float
    peak: int
    inside: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What was wanted of a row and what came; `met` None: it could not be measured here."""

    row: str
    what: str
    wanted: str
    measured: str
    met: bool | None


class Table:
    """`runs` of each way are made, in `folder`, which has room for a kernel's files."""

    def __init__(self, folder: Path, runs: int) -> None:
        self.folder = folder
        self.runs = runs
        self._goals: list[Goal] = []
        self._peaks: list[tuple[int, str]] = []  # KiB, and of what

    def compare(
        self, title: str, ways: Sequence[Way], before: Callable[[], None] = lambda: None
    ) -> dict[str, Took]:
        """Runs all ways in turn, so that a busy moment of the machine does not hit one alone; the
        medians by title.  `before` each run something may have to be made ready."""
        print(f"\n{title}, median of {self.runs}")
        there = [way for way in ways if self._has(way)]
        runs: dict[str, list[Took]] = {way.title: [] for way in there}
        for _ in range(self.runs):
            for way in there:
                before()
                runs[way.title].append(self._run(way))
        took = {name: _median(each) for name, each in runs.items()}
        print(f"  {'':34}     wall    ratio      cpu      peak")
        for name, each in took.items():
            ratio = each.wall / took[there[0].title].wall
            memory = f"{each.peak / 1024:5.0f} MiB"
            print(f"  {name:34} {each.wall:6.2f} s {ratio:6.2f} x {each.cpu:6.2f} s {memory}")
        for way in there:
            if way.own:
                self.peak(took[way.title].peak, f"{title}, {way.title}")
        return took

    def at_most(self, row: str, what: str, measured: float | None, goal: float, unit: str) -> None:
        """A goal from above; `measured` None: what it takes is not installed."""
        self._goal(row, what, measured, f"<= {goal:g} {unit}", unit, lambda value: value <= goal)

    def at_least(self, row: str, what: str, measured: float | None, goal: float, unit: str) -> None:
        """A goal from below; otherwise as `at_most`."""
        self._goal(row, what, measured, f">= {goal:g} {unit}", unit, lambda value: value >= goal)

    def peak(self, kibibytes: int, what: str) -> None:
        """One of kernsym's processes had so much memory at its peak."""
        self._peaks.append((kibibytes, what))

    def summary(self) -> None:
        """Prints all goals."""
        if self._peaks:
            most, what = max(self._peaks)
            named = f"peak memory of {len(self._peaks)} processes, most in {what.partition('.')[0]}"
            self.at_most("12", named, most / 1024, _MOST_MEGABYTES, "MiB")
        print("\nrow  goal" + " " * 55 + "wanted      measured")
        for goal in self._goals:
            mark = {True: "ok", False: "MISSED", None: "not measured"}[goal.met]
            print(f"{goal.row:4} {goal.what[:58]:58} {goal.wanted:>11} {goal.measured:>11}  {mark}")

    def _goal(
        self,
        row: str,
        what: str,
        measured: float | None,
        wanted: str,
        unit: str,
        holds: Callable[[float], bool],
    ) -> None:
        shown = "" if measured is None else f"{measured:.2f} {unit}"
        met = None if measured is None else holds(measured)
        self._goals.append(Goal(row=row, what=what, wanted=wanted, measured=shown, met=met))
        if met is not None:
            print(f"  {what}: {shown}, wanted {wanted}: {'ok' if met else 'MISSED'}", flush=True)

    def _has(self, way: Way) -> bool:
        there = not way.needs or shutil.which(way.needs) is not None
        if not there:
            print(f"  {way.title}: passed over, {way.needs} is not installed")
        return there

    def _run(self, way: Way) -> Took:
        into = self.folder / "into"
        into.mkdir()
        command = f"set -o pipefail; {way.command.format(into=shlex.quote(str(into)))}"
        begun = time.perf_counter()
        process = subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE)
        assert process.stdout is not None
        answer = process.stdout.read().split()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.stdout.close()
        process.returncode = os.waitstatus_to_exitcode(status)
        shutil.rmtree(into)
        if process.returncode and way.own:
            sys.exit(f"failed: {way.title}")
        return Took(
            wall=wall,
            cpu=usage.ru_utime + usage.ru_stime,
            peak=int(answer[1]) if way.own else usage.ru_maxrss,
            inside=float(answer[0]) if way.own else 0.0,
        )


def ratio(took: dict[str, Took], one: str, other: str, of: str = "wall") -> float | None:
    """The wall (or cpu) seconds of one way in proportion to those of another; None where one of
    them was passed over."""
    if one not in took or other not in took:
        return None
    seconds: float = getattr(took[one], of)
    return seconds / float(getattr(took[other], of))


def _median(runs: list[Took]) -> Took:
    """The peak is the largest."""
    return Took(
        wall=statistics.median(took.wall for took in runs),
        cpu=statistics.median(took.cpu for took in runs),
        peak=max(took.peak for took in runs),
        inside=statistics.median(took.inside for took in runs),
    )
