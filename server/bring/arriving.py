"""The bytes of one package, while they come."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from kernsym.cache import Store
from kernsym.cache.messages import Priority
from kernsym.distros import Kernel, PackageRef, Refused, distro_of
from kernsym.server.disk import require_room
from kernsym.server.jobs import Job
from kernsym.server.mirrors.checked import CheckedFiles
from kernsym.server.mirrors.download import download
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_answer import RangesUnusable
from kernsym.server.mirrors.ranged_file import RangedFile
from kernsym.server.mirrors.resolve import Offer
from kernsym.server.mirrors.rpm_signature import voucher
from kernsym.server.mirrors.turns import Turns
from kernsym.server.mirrors.upstream import Upstream, is_file_url

# vmlinux has 0.6 GB, the modules that a machine loads as much again, a source tree 1.4 GB; all
# modules of a kernel have 5.2 GB.
_ROOM_TO_UNPACK = 2 << 30
_ROOM_FOR_ALL_MODULES = 8 << 30
_MOST_GROWTH = 12  # sources shrink to a tenth, symbols to a seventh

_RESUMED = 8 << 20  # more than this at the first report came from an earlier attempt


class Arrivals:
    """Brings packages into the store, and lets them be read meanwhile."""

    def __init__(self, store: Store, upstream: Upstream, turns: Turns) -> None:
        self._store = store
        self._upstream = upstream
        self._turns = turns
        self._checked = CheckedFiles()

    @contextlib.asynccontextmanager
    async def open(self, job: Job, offer: Offer) -> AsyncIterator[Arriving]:
        """The package's bytes, while they come.  When the context ends well the package is whole,
        its digest was right, it is as signed as its source demands, and it is kept."""
        growing = GrowingFile()
        task = asyncio.create_task(self._download(job, offer, growing))

        def tell(end: int) -> None:
            if task.done():  # until then the download's progress says more
                job.progress("unpack", end, offer.ref.size)

        arriving = Arriving(growing, offer.ref, tell, task)
        try:
            yield arriving
            arriving.ref = await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            growing.close()

    @contextlib.asynccontextmanager
    async def open_in_part(self, job: Job, offer: Offer) -> AsyncIterator[RangedPackage]:
        """The package, of which only what is read comes; that is kept for the next time, unless it
        proves to be wrong.  Nothing is known of the digest of the whole.

        Raises `RangesUnusable`, and as `download`.
        """
        come = 0

        def tell(now: int) -> None:
            nonlocal come
            job.downloaded(now - come)
            come = now
            job.progress("download", now, None)

        target = self._store.package_path(job.kernel, offer.ref)
        await asyncio.to_thread(require_room, target.parent, _ROOM_TO_UNPACK)
        file = RangedFile(offer.ref, target)
        source = RangedPackage(self._upstream, offer.ref.url, file, tell)
        try:
            await source.begin()
            yield source
        except (RangesUnusable, Refused):
            await source.end()
            await asyncio.to_thread(file.discard)
            raise
        finally:
            await source.end()

    def arrived(self, kernel: Kernel) -> int:
        """Bytes of the kernel's packages that lie in the store, whole or not."""
        folder = self._store.folder(kernel) / "packages"
        return sum(path.stat().st_blocks * 512 for path in folder.glob("*") if path.is_file())

    async def _download(self, job: Job, offer: Offer, growing: GrowingFile) -> PackageRef:
        """Brings the package; its reference, with who signed it."""
        ref = offer.ref
        target = self._store.package_path(job.kernel, ref)
        held = target.is_file() or is_file_url(ref.url)
        coming = _Coming(job, held=held)
        room = _ROOM_FOR_ALL_MODULES if job.wanted.everything else _ROOM_TO_UNPACK
        if ref.size is not None:
            room = min(room, _MOST_GROWTH * ref.size)
        async with self._turns.turn(ref.url, lambda: job.priority is Priority.PERSON):
            await download(
                self._upstream,
                ref,
                target,
                growing,
                room=room,
                on_progress=coming.tell,
                on_taken=coming.taken,
                checked=self._checked,
            )
        if not held:
            job.stage("download", coming.words)

        if offer.source is None or ref.signed_by is not None:
            return ref
        weak = distro_of(job.kernel).weakly_signed(job.kernel)
        signer = await asyncio.to_thread(voucher, growing, offer.source, weak=weak)
        if signer is not None:
            job.stage("signature", f"{ref.package.id} is itself signed by {signer}")
        return replace(ref, signed_by=signer)


class _Coming:
    """Counts what comes of a package: now over the network, or before; `held`: all came before."""

    def __init__(self, job: Job, *, held: bool) -> None:
        self._job = job
        self._held = held
        self._began = time.monotonic()
        self._before = self._done = 0

    def tell(self, done: int, total: int | None) -> None:
        if self._done == self._before and done - self._done > _RESUMED:
            self._before = done
        elif not self._held:
            self._job.downloaded(max(done - self._done, 0))
        self._done = done
        self._job.progress("download", done, total)

    def taken(self, size: int) -> None:
        """So much had come by ranges."""
        self._before, self._done = self._before + size, self._done + size

    @property
    def words(self) -> str:
        """It for people."""
        seconds = max(time.monotonic() - self._began, 0.001)
        rate = (self._done - self._before) / seconds / 1e6
        before = f", {self._before / 1e6:.0f} MB of it from before"
        resumed = before if self._before > _RESUMED else ""
        return f"{self._done / 1e6:.0f} MB, {rate:.0f} MB/s{resumed}"


class Arriving:
    """A package on its way, as a `ByteSource` that tells how far it was read.

    `ref`: as the source published it; once `Packages.open` has ended well, with what was verified.
    """

    def __init__(
        self,
        source: GrowingFile,
        ref: PackageRef,
        on_read: Callable[[int], None],
        download: asyncio.Task[PackageRef],
    ) -> None:
        self.ref = ref
        self._source = source
        self._on_read = on_read
        self._download = download

    def when_right(self, tell: Callable[[], None]) -> None:
        """Call `tell` in the event loop when the package is whole and was found to be what its
        source announced."""

        def ended(download: asyncio.Task[PackageRef]) -> None:
            if not download.cancelled() and download.exception() is None:
                tell()

        self._download.add_done_callback(ended)

    def read_at(self, offset: int, size: int) -> bytes:
        data = self._source.read_at(offset, size)
        if data:
            self._on_read(offset + len(data))
        return data

    def whole(self) -> int | None:
        return self._source.whole()

    def close(self) -> None:
        """Let nobody wait any longer: what has not come will not."""
        self._source.close()
