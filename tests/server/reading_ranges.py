"""A package read by ranges, for the tests of that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from kernsym.server.mirrors.ranged import RangedPackage
from kernsym.server.mirrors.ranged_file import RangedFile
from kernsym.server.mirrors.upstream import Upstream
from tests.server.bringing import NAME, QUICK, package

Read = Callable[[RangedPackage], Awaitable[None]]


async def read_at(source: RangedPackage, offset: int, size: int) -> bytes:
    return await asyncio.to_thread(source.read_at, offset, size)


async def open_and(url: str, target: Path, read: Read, come: list[int] | None = None) -> None:
    """`read` from the package at a mirror."""
    file = RangedFile(package(url), target)
    async with Upstream(target.parent / "pages", QUICK) as upstream:
        source = RangedPackage(upstream, f"{url}/{NAME}", file, (come or []).append)
        try:
            await source.begin()
            await read(source)
        finally:
            await source.end()
