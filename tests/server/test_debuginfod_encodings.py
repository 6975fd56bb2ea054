"""Compressed answers of the debuginfod addresses, asked of a server process."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.conftest import KERNEL
from tests.live_server import Answer, LiveServer, live_server
from tests.processes import wait_for
from tests.server.world_store import World


@pytest.fixture
def path(world: World) -> str:
    """Of a module, as an address."""
    return f"/buildid/{world.module('overlay').build_id}/debuginfo"


@pytest.mark.parametrize("module", ["overlay", "crc_ccitt"])  # by sendfile, from memory
def test_encodings(module: str, world: World, world_server: LiveServer) -> None:
    file = world.module(module)
    path = f"/buildid/{file.build_id}/debuginfo"
    plain = world_server.ask(path)
    unpack: dict[str, Callable[[bytes], bytes]] = {
        "zstd": zstandard.ZstdDecompressor().decompress,
        "gzip": gzip.decompress,
    }
    seen = {tag(plain)}
    for encoding, header in (("zstd", "deflate, gzip, br, zstd"), ("gzip", "gzip")):
        for _ in range(2):
            answer = world_server.ask(path, Accept_Encoding=header)
            assert answer.headers["Content-Encoding"] == encoding
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert answer.headers["X-DEBUGINFOD-SIZE"] == str(file.size)
            assert len(answer.body) < file.size * 0.9
            assert unpack[encoding](answer.body) == plain.body
        assert tag(answer) not in seen, "another tag for other bytes"
        seen.add(tag(answer))
        again = world_server.ask(path, Accept_Encoding=header, If_None_Match=tag(answer))
        assert again.status == 304 and tag(again) == tag(answer)
        head = world_server.ask(path, method="HEAD", Accept_Encoding=header)
        assert int(head.headers["Content-Length"]) == len(answer.body)


def test_a_large_file_is_not_waited_for(world: World, world_server: LiveServer) -> None:
    """It is sent as it is until its compressed form has been made beside."""
    path = f"/buildid/{world.vmlinux.build_id}/debuginfo"
    first = world_server.ask(path, Accept_Encoding="zstd")
    assert "Content-Encoding" not in first.headers and first.body == world.content(world.vmlinux)

    def compressed() -> bool:
        answer = world_server.ask(path, method="HEAD", Accept_Encoding="zstd")
        return answer.headers.get("Content-Encoding") == "zstd"

    wait_for(compressed)
    body = world_server.ask(path, Accept_Encoding="zstd").body
    assert zstandard.ZstdDecompressor().decompress(body) == first.body


def test_only_what_pays_is_sent_compressed(
    world_home: Path, world: World, world_server: LiveServer
) -> None:
    section = f"/buildid/{world.vmlinux.build_id}/section/.notes"
    assert "Content-Encoding" not in world_server.ask(section, Accept_Encoding="zstd").headers
    kept = [path for path in (world_home / "store/encoded").rglob("*") if path.is_file()]
    assert not [path for path in kept if path.name.startswith(".")], "nothing half made is left"


def test_compressed_forms_can_be_done_without(path: str, tmp_path: Path, world_home: Path) -> None:
    (tmp_path / "store").symlink_to(world_home / "store")
    with live_server(tmp_path, "encoded_mb = 0\nmemory_mb = 0") as server:
        answers = [server.ask(path, Accept_Encoding="zstd") for _ in range(2)]
    assert all("Content-Encoding" not in answer.headers for answer in answers)


def test_nothing_beside_a_file_is_sent_for_it(tmp_path: Path, world: World, path: str) -> None:
    """As aiohttp's own answer does with NAME.gz."""
    shutil.copytree(world.folder.parents[4], tmp_path / "store", symlinks=True)
    file = tmp_path / "store/kernels" / KERNEL.key / world.module("overlay").path
    file.with_name("overlay.ko.gz").write_bytes(gzip.compress(b"another file"))
    with live_server(tmp_path, "encoded_mb = 0") as server:
        assert server.ask(path, Accept_Encoding="gzip").body == file.read_bytes()


def tag(answer: Answer) -> str:
    return answer.headers["ETag"]
