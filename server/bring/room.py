"""Room in the store for a package and what comes out of it, before it comes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from kernsym.cache import Bundle
from kernsym.cache.messages import Part
from kernsym.cache.upkeep import Room
from kernsym.distros import PackageRef
from kernsym.server.disk import writing
from kernsym.server.jobs import Job
from kernsym.server.mirrors.upstream import is_file_url
from kernsym.server.threads import in_thread

# How much comes out of a package, by its size: Debian's symbols of 0.86 GB have 0.63 GB of vmlinux
# and some hundred modules, or all of them with 5.2 GB; its sources of 0.14 GB have 1.5 GB.
_OF_SOURCES, _OF_ALL_MODULES, _OF_SOME, _OF_MORE_MODULES = 11, 7, 2, 1
_UNKNOWN_SIZE = 1 << 30


@contextlib.asynccontextmanager
async def room_for(
    room: Room, job: Job, ref: PackageRef, held: Bundle | None
) -> AsyncIterator[None]:
    """Have room for what a job makes of a package.  Raises `Unusable` (`disk-full`)."""

    def reserve(stack: contextlib.ExitStack) -> None:
        wanted = _expected(job, ref, held)
        stack.enter_context(
            room.reserved(
                job.kernel.key,
                wanted,
                on_wait=lambda text: job.stage("room", text),
                stop=lambda: job.wanted.closed,
            )
        )

    with contextlib.ExitStack() as stack:
        with writing(room.store.folder(job.kernel)):
            await in_thread(lambda: reserve(stack), stop=job.wanted.close)
        yield


def _expected(job: Job, ref: PackageRef, held: Bundle | None) -> int:
    """Bytes by which the kernel's folder may grow."""
    size = ref.size or _UNKNOWN_SIZE
    times = _OF_SOME if held is None else _OF_MORE_MODULES
    if job.part is Part.SOURCES:
        times = _OF_SOURCES
    elif job.wanted.everything:
        times = _OF_ALL_MODULES
    return size * times + (0 if is_file_url(ref.url) else size)
