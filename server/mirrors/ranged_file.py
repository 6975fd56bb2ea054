"""What has come of a package by ranges: it survives interruption, kill -9 too."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from kernsym.distros import PackageRef
from kernsym.server.disk import writing
from kernsym.server.mirrors.mirror_errors import public
from kernsym.server.mirrors.ranged_answer import Entity

PIECE = 1 << 17  # bytes; what is held is held in whole pieces, but for the file's last

_BLOCK = 1 << 20


class RangedFile:
    """`TARGET.ranges`, a file with holes, and beside it `TARGET.ranges.held`: of which package and
    answer it is, and a line for each piece that is there, written after the piece was.

    Used by one job at a time; its threads may read and write at once, each piece once.
    """

    def __init__(self, ref: PackageRef, target: Path) -> None:
        self._origin = {"package": ref.digest or "", "url": public(ref.url)}
        self._path, self._journal = ranges_of(target)
        self._descriptor: int | None = None
        self._pieces: set[int] = set()
        self.entity: Entity | None = None

    def take_over(self) -> None:
        """Go on with what was left of the same package from the same mirror; drop anything else."""
        if not self.look(**self._origin):
            self.discard()

    def look(self, **origin: str) -> bool:
        """Whether something was left, to be read, of which this is noted (`package`, `url`)."""
        self.entity, self._pieces = self._read_journal(origin)
        if self.entity is None:
            return False
        try:
            self._descriptor = os.open(self._path, os.O_RDWR)
        except FileNotFoundError:
            self.entity, self._pieces = None, set()
        return self.entity is not None

    def begin(self, entity: Entity) -> None:
        """Nothing has come yet of this file.  Raises `Unusable` (`disk-full`)."""
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o644)
            os.ftruncate(self._descriptor, entity.size)
            origin = {**self._origin, **asdict(entity), "piece": PIECE}
            self._journal.write_text(json.dumps(origin) + "\n")
        self.entity, self._pieces = entity, set()

    def holds(self, piece: int) -> bool:
        return piece in self._pieces

    @property
    def size_held(self) -> int:
        """Bytes that have come."""
        return sum(end - begin for begin, end in self.runs())

    def write(self, first: int, data: bytes) -> None:
        """Whole pieces from the number `first` on, the last of the file as short as it is.

        Raises `Unusable` (`disk-full`).
        """
        assert self._descriptor is not None
        numbers = range(first, first - (-len(data) // PIECE))
        with writing(self._path):
            position, left = first * PIECE, memoryview(data)
            while left:
                written = os.pwrite(self._descriptor, left, position)
                position, left = position + written, left[written:]
            with self._journal.open("a") as journal:
                journal.write("".join(f"{number}\n" for number in numbers))
        self._pieces.update(numbers)

    def read(self, offset: int, size: int) -> bytes:
        """Bytes of pieces that are held."""
        assert self._descriptor is not None
        return os.pread(self._descriptor, size, offset)

    def run_at(self, offset: int) -> tuple[int, int] | None:
        """Where the run of bytes that is held at an offset, or the next one, begins and ends."""
        return next((run for run in self.runs() if run[1] > offset), None)

    def runs(self) -> Iterator[tuple[int, int]]:
        """What is held: where each run of bytes begins and ends, in order."""
        size = self.entity.size if self.entity else 0
        begin = end = 0
        for piece in sorted(self._pieces):
            if piece * PIECE > end:
                if end > begin:
                    yield begin, end
                begin = piece * PIECE
            end = min((piece + 1) * PIECE, size)
        if end > begin:
            yield begin, end

    def agrees_with(self, whole: Path) -> bool:
        """Whether all that is held stands so in the whole package."""
        with whole.open("rb") as file:
            return all(
                self.read(offset, min(_BLOCK, end - offset))
                == os.pread(file.fileno(), min(_BLOCK, end - offset), offset)
                for begin, end in self.runs()
                for offset in range(begin, end, _BLOCK)
            )

    def close(self) -> None:
        """Let go of the file; what has come stays for the next time."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def discard(self) -> None:
        """Remove what has come."""
        self.close()
        self.entity, self._pieces = None, set()
        for path in (self._path, self._journal):
            path.unlink(missing_ok=True)

    def _read_journal(self, asked: Mapping[str, str]) -> tuple[Entity | None, set[int]]:
        """What began as `asked`; a line that was not finished counts for nothing."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            first, *lines = self._journal.read_text().split("\n")
            origin = json.loads(first)
            if {**origin, **asked, "piece": PIECE} == origin:
                entity = Entity(
                    size=int(origin["size"]), etag=origin["etag"], modified=origin["modified"]
                )
                return entity, set(_numbers(lines[:-1], entity.size))
        return None, set()


def ranges_of(target: Path) -> tuple[Path, Path]:
    """Where the ranges of the package at `target` lie, and the list of what is there."""
    return target.with_name(f"{target.name}.ranges"), target.with_name(f"{target.name}.ranges.held")


def _numbers(lines: Iterable[str], size: int) -> Iterator[int]:
    for line in lines:
        if line.isdecimal() and int(line) * PIECE < size:
            yield int(line)
