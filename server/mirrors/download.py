"""One package from its mirror into the store: resumed, checked, readable while it comes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

import aiohttp

from kernsym.distros import CouldNotFindOut, KernsymError, PackageRef, Refused
from kernsym.server.disk import require_room
from kernsym.server.mirrors.checked import CheckedFiles
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.mirror_errors import MISSING, TryAgain, host_of, odd_status, public
from kernsym.server.mirrors.part import Part, mismatch, new_digest, require_announced
from kernsym.server.mirrors.ranged_file import RangedFile
from kernsym.server.mirrors.upstream import Upstream, file_path, is_file_url

_BLOCK = 1 << 20
_CONTENT_RANGE = re.compile(r"bytes (?:(?P<start>[0-9]+)-[0-9]+|\*)/(?P<total>[0-9]+|\*)")

_WRONG_BYTES = ("digest-mismatch", "package-changed")

Progress = Callable[[int, int | None], None]


async def download(
    upstream: Upstream,
    ref: PackageRef,
    target: Path,
    growing: GrowingFile,
    *,
    room: int = 0,
    on_progress: Progress = lambda done, total: None,
    on_taken: Callable[[int], None] = lambda size: None,
    checked: CheckedFiles | None = None,
) -> Path:
    """Brings a package to `target` and returns where it lies: a file:// source is left in place.

    The caller alone works on `target`.  Readers of `growing` see the bytes as they come, and the
    error when they do not.  `room`: bytes that must stay free beside the package, for what will
    be unpacked.  `on_progress` hears bytes, done and in all (None: not known), `on_taken` before
    it how many of them a `RangedFile` beside `target` had, so that they do not come again.
    `checked`: what need not be compared with its digest again; a file:// source may be replaced
    and always is.

    Interrupted in any way it leaves `TARGET.part`, from which the next call goes on.

    Raises `Refused` (`digest-mismatch`), `CouldNotFindOut`, `Unusable` (`disk-full`).
    """
    try:
        there = await asyncio.to_thread(_in_place, ref, target)
        if there is not None:
            await asyncio.to_thread(require_room, target.parent, room)
            known = checked is not None and await asyncio.to_thread(checked.knows, ref, there)
            read = _take_in_place if known else _check_in_place
            await asyncio.to_thread(read, ref, there, growing, on_progress)
        else:
            await _Download(upstream, ref, target, growing, room, on_progress, on_taken).run()
        if checked is not None and not growing.failed and not is_file_url(ref.url):
            await asyncio.to_thread(checked.remember, ref, target)
        return there or target
    except asyncio.CancelledError:
        growing.fail(CouldNotFindOut("download-cancelled", "the download was cancelled"))
        raise
    except Exception as error:
        growing.fail(error)
        raise


class _Download:
    def __init__(
        self,
        upstream: Upstream,
        ref: PackageRef,
        target: Path,
        growing: GrowingFile,
        room: int,
        on_progress: Progress,
        on_taken: Callable[[int], None],
    ) -> None:
        self._upstream = upstream
        self._ref = ref
        self._target = target
        self._room = room
        self._on_progress = on_progress
        self._total = ref.size
        self._on_taken = on_taken
        self._part = Part(ref, target, growing)
        self._ranges = RangedFile(ref, target)

    async def run(self) -> None:
        await asyncio.to_thread(self._part.open)
        if self._ref.digest and self._ref.size:  # else nothing would tell whose bytes are wrong
            await asyncio.to_thread(self._ranges.look, package=self._ref.digest)
        try:
            if self._part.size != self._ref.size:
                await self._upstream.patiently(
                    self._attempt,
                    attempts=self._upstream.limits.download_attempts,
                    come=lambda: self._part.size,
                )
            await asyncio.to_thread(self._part.finish)
        except KernsymError as error:
            if error.code in _WRONG_BYTES:  # perhaps those that were taken
                self._ranges.discard()
            raise
        finally:
            self._part.close()
            self._ranges.close()

    async def _attempt(self) -> None:
        """Requests for what is still lacking: one, or one for each gap that ranges have left."""
        end = await asyncio.to_thread(self._take)
        while end is not None:
            await self._ask(end)
            end = await asyncio.to_thread(self._take)
        if self._part.size != self._total:
            await self._ask(None)

    def _take(self) -> int | None:
        """Use what ranges have brought; where more of that comes, None: nowhere."""
        while (run := self._ranges.run_at(self._part.size)) and run[0] <= self._part.size:
            data = self._ranges.read(self._part.size, min(_BLOCK, run[1] - self._part.size))
            self._part.append(data)
            self._on_taken(len(data))
            self._on_progress(self._part.size, self._total)
        return run[0] if run else None

    async def _ask(self, end: int | None) -> None:
        """One request, to `end` or for all that is lacking."""
        headers = self._part.request_headers(end)
        async with self._upstream.open(self._ref.url, headers) as answer:
            start = self._understand(answer)
            if start is None:
                return
            await asyncio.to_thread(self._part.begin_answer, start, answer.headers)
            if self._total is not None:
                lacking = self._total - self._part.size + self._room
                await asyncio.to_thread(require_room, self._target.parent, lacking)
                self._room = 0  # the next attempt finds it in use
            async for piece in answer.content.iter_any():
                await asyncio.to_thread(self._part.write, piece)
                self._on_progress(self._part.size, self._total)
        end = end or self._total
        if end is not None and self._part.size < end:
            raise TryAgain(
                "mirror-unreachable",
                f"{host_of(self._ref.url)} sent less than it announced",
                context=(f"asked  {public(self._ref.url)}",),
            )

    def _understand(self, answer: aiohttp.ClientResponse) -> int | None:
        """Where the answer's body begins in the package; None when nothing is lacking."""
        url = self._ref.url
        if answer.status in MISSING:
            raise CouldNotFindOut(
                "package-missing",
                f"{host_of(url)} announces {self._ref.package.id} but does not have it",
                context=(f"asked  {public(url)}",),
                hint="a mirror in the middle of an update looks like this: try again in an hour",
            )
        if answer.status == HTTPStatus.OK:
            self._expect(answer.content_length)
            return 0
        span = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if span is None:
            raise odd_status(url, answer.status)
        total = None if span["total"] == "*" else int(span["total"])
        if answer.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            if total != self._part.size:
                raise self._part.changed()
            return None
        self._expect(total)
        return int(span["start"] or 0)

    def _expect(self, total: int | None) -> None:
        """Refuses a copy of the wrong size before its hundreds of megabytes come."""
        if total is None:
            return
        if self._ref.size not in (None, total):
            raise mismatch(self._ref, f"{total} bytes")
        self._total = total


def _in_place(ref: PackageRef, target: Path) -> Path | None:
    if target.is_file():  # of a file:// source: it was taken in, and may have gone there
        return target
    return file_path(ref.url) if is_file_url(ref.url) else None


def _take_in_place(
    ref: PackageRef, path: Path, growing: GrowingFile, on_progress: Progress
) -> None:
    """Give a package to its readers that was found to be right before."""
    size = path.stat().st_size
    growing.begin(path)
    growing.grown(size)
    growing.finish()
    on_progress(size, size)


def _check_in_place(
    ref: PackageRef, path: Path, growing: GrowingFile, on_progress: Progress
) -> None:
    """Check a package that is there already, while others read it."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            growing.begin(path)
            growing.grown(size, whole=True)
            digest = new_digest(ref)
            while ref.digest and (block := file.read(_BLOCK)):  # else nothing to compare with
                if growing.failed:  # whoever wants it was cancelled
                    return
                digest.update(block)
                on_progress(file.tell(), size)
    except OSError as error:
        raise CouldNotFindOut(
            "file-unreadable", f"{path} cannot be read: {error.strerror}"
        ) from error
    try:
        require_announced(ref, size, digest.hexdigest())
    except Refused:
        if not is_file_url(ref.url):
            path.unlink(missing_ok=True)
        raise
    growing.finish()
