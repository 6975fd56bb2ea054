"""A kernel whose package is worth reading in part, on a mirror, and what brings it from there."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Event, Part, Partial, SymbolsRequest
from kernsym.distros import Fetch, Kernel, Package, PackageRef, Role, Source
from kernsym.server.bring.packages import Packages
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import Job, JobBoard
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.symbols import Symbols
from tests.deb_writer import deb
from tests.elf_writer import module, vmlinux
from tests.server import small_distro as small
from tests.server.bringing import QUICK
from tests.upstream import UpstreamServer
from tests.xz_writer import xz

NAME = small.package("near").id
MODULES = f"usr/lib/debug/lib/modules/{small.UNAME}/kernel"
COUNT = 80
FINGERPRINT = small.fingerprint("near.example", 1)


def build_id_of(number: int) -> str:
    return f"{number + 100:040x}"


def members(
    count: int = COUNT, vermagic: str = f"{small.UNAME} SMP mod_unload"
) -> list[tuple[str, bytes]]:
    """vmlinux and modules that cannot be compressed, in the order of their paths."""
    kernel = vmlinux(small.banner("near.example"), small.build_id(1)) + os.urandom(300_000)
    paths = [f"{MODULES}/m{number:02}.ko.debug" for number in range(count)]
    modules = [
        (path, module(build_id_of(number), os.urandom(60_000), vermagic))
        for number, path in enumerate(paths)
    ]
    return [*modules, (small.DEBUG_PATH, kernel)]


def package(content: list[tuple[str, bytes]], block_size: int = 1 << 16) -> bytes:
    return deb(
        [(f"./{path}", data) for path, data in content],
        pack=lambda data: xz(data, block_size=block_size),
        listed=[path for path, _ in content],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bringing:
    """A server's objects on a store, without its routes."""

    store: Store
    jobs: JobBoard
    symbols: Symbols

    async def ask(
        self, *modules: str, partial: Partial = Partial.LATER, everything: bool = False
    ) -> list[Event]:
        """Have it brought; what the job told, to its end."""
        request = SymbolsRequest(
            fingerprint=FINGERPRINT, modules=modules, all_modules=everything, partial=partial
        )
        return await self.follow(await self.symbols.start(request))

    async def follow(self, job: Job) -> list[Event]:
        return [event async for event in job.follow()]

    def check(self) -> Job | None:
        """The job that checks what came in part."""
        return next((job for job in self.jobs.jobs() if job.part is Part.CHECK), None)

    def held(self, *modules: str, partial: Partial = Partial.LATER) -> Bundle | None:
        request = SymbolsRequest(fingerprint=FINGERPRINT, modules=modules, partial=partial)
        return self.symbols.held(request)


@contextlib.asynccontextmanager
async def bringing(
    store: Store, mirror: UpstreamServer, *, for_all: bool = False
) -> AsyncIterator[Bringing]:
    there = Source(distro="*", kind="apt", url=mirror.url, origin="given", partial=for_all)
    config = ServerConfig(
        store=store.root, host="127.0.0.1", port=0, sources=(there,), builtin_sources=False
    )
    jobs = JobBoard()
    async with Upstream(store.root / "pages", QUICK) as upstream:
        symbols = Symbols(store, jobs, Packages(store, upstream, config))
        symbols.resume()
        try:
            yield Bringing(store=store, jobs=jobs, symbols=symbols)
        finally:
            await jobs.close()


def publish(monkeypatch: pytest.MonkeyPatch, root: Path, content: bytes) -> int:
    """Put the package on a mirror that announces its digest and size; returns the size."""
    (root / NAME).write_bytes(content)
    digest, size = hashlib.sha256(content).hexdigest(), len(content)

    def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef:
        return PackageRef(
            package=package,
            url=f"{source.url}/{NAME}",
            origin=source.place,
            why="",
            size=size,
            sha256=digest,
            signed_by="a key",
        )

    distro = small.distro("near", 1, (Role.DEBUGINFO,), certain=True)
    small.register(monkeypatch, replace(distro, locate=locate))
    return size


def said(events: list[Event], stage: str) -> str:
    """What a job said of a stage, "" when nothing."""
    return "; ".join(event.text for event in events if event.stage == stage and event.text)
