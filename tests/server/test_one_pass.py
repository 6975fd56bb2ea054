"""A package is read once, also when its modules stand before the vmlinux that tells which."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import EventKind, SymbolsRequest
from kernsym.distros import Role, Source
from kernsym.server.bring.packages import Packages
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import JobBoard
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.symbols import Symbols
from kernsym.server.unpack import Pass, extract
from tests.deb_writer import deb
from tests.elf_writer import module, vmlinux
from tests.server import small_distro as small

MODULES = f"usr/lib/debug/lib/modules/{small.UNAME}/kernel"


@pytest.mark.parametrize(
    ("vmlinux_last", "room", "passes"), [(False, 0, 1), (True, 0, 1), (True, 1 << 80, 2)]
)
def test_modules_are_named_after_vmlinux_was_seen(
    store: Store,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vmlinux_last: bool,
    room: int,
    passes: int,
) -> None:
    small.register(monkeypatch, small.distro("near", 1, (Role.DEBUGINFO,), certain=True))
    monkeypatch.setattr("kernsym.server.bring.collector._ROOM_FOR_GUESSES", room)
    seen = []

    def counting(*arguments: Any, **options: Any) -> Pass:
        seen.append(arguments)
        return extract(*arguments, **options)

    monkeypatch.setattr("kernsym.server.bring.kernel.extract", counting)
    members = [(f"{MODULES}/{name}.ko.debug", module("ab" * 20)) for name in ("ext4", "xfs")]
    kernel = (small.DEBUG_PATH, vmlinux(small.banner("near.example"), small.build_id(1)))
    ordered = [*members, kernel] if vmlinux_last else [kernel, *members]
    (tmp_path / small.package("near").id).write_bytes(deb(ordered))
    bundle = asyncio.run(_bring(store, tmp_path))
    assert len(seen) == passes
    assert set(bundle.modules()) == {"ext4"}
    written = {path.name for path in store.folder(bundle.kernel).rglob("root/**/*.debug")}
    assert written == {"ext4.ko.debug"}, "what was kept in vain must be gone"


async def _bring(store: Store, folder: Path) -> Bundle:
    """What one job brings that is told the modules when vmlinux is there."""
    source = Source(
        distro="*", kind="directory", url=f"file://{folder}/", signature="skip", origin="given"
    )
    config = ServerConfig(
        store=store.root, host="127.0.0.1", port=0, sources=(source,), builtin_sources=False
    )
    fingerprint = small.fingerprint("near.example")
    wanted = SymbolsRequest(fingerprint=fingerprint, modules=("ext4",))
    async with Upstream(store.root / "pages") as upstream:
        symbols = Symbols(store, JobBoard(), Packages(store, upstream, config))
        job = await symbols.start(SymbolsRequest(fingerprint=fingerprint, modules=None))
        async for event in job.follow():
            assert event.problem is None
            if event.kind is EventKind.VMLINUX:
                assert await symbols.start(wanted) is job
        bundle = symbols.held(wanted)
        assert bundle is not None
        return bundle
