"""A package on a mirror, and its download, for the tests of downloads."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from pathlib import Path

from kernsym.distros import (
    Package,
    PackageRef,
    Role,
)
from kernsym.server.mirrors.checked import CheckedFiles
from kernsym.server.mirrors.download import download
from kernsym.server.mirrors.growing import GrowingFile
from kernsym.server.mirrors.upstream import Limits, Upstream
from tests.server.answering import Answer, serving

CONTENT = b"".join(hashlib.sha256(str(block).encode()).digest() for block in range(100_000))
SIZE = len(CONTENT)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA512 = hashlib.sha512(CONTENT).hexdigest()
SHA1 = hashlib.sha1(CONTENT).hexdigest()
NAME = "linux-image-dbg.deb"
QUICK = Limits(connect=2.0, stall=0.5, download_attempts=3, first_pause=0.01)


def package(
    url: str,
    *,
    size: int | None = SIZE,
    sha256: str | None = SHA256,
    sha1: str | None = None,
    sha512: str | None = None,
) -> PackageRef:
    named = Package(role=Role.DEBUGINFO, id=NAME, name="linux-image-dbg", version="1", arch="amd64")
    return PackageRef(
        package=named,
        url=f"{url}/{NAME}",
        origin="",
        why="",
        size=size,
        sha256=sha256,
        sha1=sha1,
        sha512=sha512,
    )


def bring(
    ref: PackageRef, target: Path, *, room: int = 0, checked: CheckedFiles | None = None
) -> tuple[Path, list[tuple[int, int | None]]]:
    """The download alone, from beginning to end; where it lies and its progress."""
    return asyncio.run(bring_async(ref, target, room, checked))


async def bring_async(
    ref: PackageRef, target: Path, room: int = 0, checked: CheckedFiles | None = None
) -> tuple[Path, list[tuple[int, int | None]]]:
    progress: list[tuple[int, int | None]] = []
    growing = GrowingFile()
    async with Upstream(target.parent / "pages", QUICK) as upstream:
        path = await download(
            upstream,
            ref,
            target,
            growing,
            room=room,
            on_progress=lambda done, total: progress.append((done, total)),
            checked=checked,
        )
    whole = await asyncio.to_thread(growing.read_at, 0, SIZE + 1)
    assert hashlib.sha256(whole).hexdigest() == _sha256(path)
    growing.close()
    return path, progress


def bring_from(answer: Answer, target: Path) -> None:
    """The download from a server that answers in one way."""

    async def run() -> None:
        async with serving(answer) as url:
            await bring_async(package(url), target)

    asyncio.run(run())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def wait_for_part(target: Path, size: int) -> None:
    """Until that many bytes have come."""
    deadline = time.monotonic() + 20
    while not part_of(target).exists() or part_of(target).stat().st_size < size:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def part_of(target: Path) -> Path:
    return target.with_name(f"{NAME}.part")


def leave_part(target: Path, content: bytes, **origin: str) -> None:
    """What an interrupted download leaves."""
    target.parent.mkdir(parents=True)
    part_of(target).write_bytes(content)
    target.with_name(f"{NAME}.part.json").write_text(
        json.dumps({"package": f"sha256:{SHA256}"} | origin)
    )


def files(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()
