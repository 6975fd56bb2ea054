"""What the jobs on a kernel share: each works alone on its part, stops when told, and publishes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Part
from kernsym.distros import PackageRef
from kernsym.server.bring.arriving import Arrivals, Arriving
from kernsym.server.disk import writing
from kernsym.server.jobs import Job
from kernsym.server.threads import in_thread

ROOT = "root"  # below a kernel's folder: the files of its packages, under their own paths


@contextlib.asynccontextmanager
async def alone(
    store: Store, arrivals: Arrivals, job: Job, part: Part | None = None
) -> AsyncIterator[None]:
    """Alone on the job's part of the kernel, or on another, among all processes on the store."""

    def tell(holder: int | None) -> None:
        job.stage("wait", f"process {holder or 'unknown'} is bringing the same kernel")

    def give_up() -> bool:
        job.progress("wait", arrivals.arrived(job.kernel), None)
        return job.wanted.closed

    with contextlib.ExitStack() as held:
        lock = store.lock(job.kernel, (part or job.part).value, on_wait=tell, stop=give_up)
        with writing(store.folder(job.kernel)):
            await in_thread(lambda: held.enter_context(lock), stop=job.wanted.close)
        yield


def publish(store: Store, bundle: Bundle) -> None:
    """Add to what is held of a kernel.  Raises `Unusable` (`disk-full`)."""
    with writing(store.folder(bundle.kernel) / "manifest.json"):
        store.publish(bundle)


def stop_unpacking(job: Job, source: Arriving) -> None:
    """End a thread that unpacks: at its next block, or at once where it waits for one."""
    job.wanted.close()
    source.close()


def build_of(accepted: Sequence[PackageRef], held: Bundle | None) -> str:
    """The version of the packages that have come, "" of none."""
    refs = (*accepted, *(held.packages if held else ()))
    return refs[0].package.version if refs else ""
