"""Finds one package in an rpm-md repository, in a process of its own that is measured.

python -m tests.resolve_once URL PAGES      prints wall and processor seconds, peak KiB
"""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from pathlib import Path

from kernsym.distros import Kernel, Package, Role, Source
from kernsym.distros.formats import rpm_md
from kernsym.server.mirrors.thread_fetch import ThreadFetch
from kernsym.server.mirrors.upstream import Upstream

VERSION = "4.18.0-553.el8_10"
KERNEL = Kernel(
    distro="rhel", release="8", arch="x86_64", uname=VERSION, flavour="", version=VERSION
)
WANTED = Package(
    role=Role.DEBUGINFO, id="", name="kernel-debuginfo", version=VERSION, arch="x86_64"
)


async def resolve(url: str, pages: Path) -> float:
    """Seconds until the package is found."""
    source = Source(distro="rhel", kind="rpm-md", url=url, signature="skip")
    async with Upstream(pages) as upstream:
        begun = time.perf_counter()
        ref = await asyncio.to_thread(rpm_md.locate, WANTED, KERNEL, source, ThreadFetch(upstream))
        assert ref is not None
        return time.perf_counter() - begun


def main() -> None:
    wall = asyncio.run(resolve(sys.argv[1], Path(sys.argv[2])))
    usage = resource.getrusage(resource.RUSAGE_SELF)
    # ru_maxrss would count the parent's memory before exec.
    peak = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(wall, usage.ru_utime + usage.ru_stime, peak)


if __name__ == "__main__":
    main()
