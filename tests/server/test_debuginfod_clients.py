"""Programs that speak debuginfod, unchanged, against a server process on the bundled world."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import BundleFile, Store
from kernsym.server.binaries.sections import read_sections
from tests.conftest import WORLD
from tests.live_server import LiveServer, live_server
from tests.processes import wait_for
from tests.server.world_store import World, read_world

PREFIX = "/build/linux-Xy12Zq/linux"  # as long as what it takes the place of in the DWARF
ODD_NAME = "kernel/p++r$#o^^ g%41.c"

# drgn leaves the kernel to others unless it is told otherwise: public servers are too slow for it.
DRGN = """
import sys
import drgn
program = drgn.Program()
program.set_core_dump(sys.argv[1])
program.set_enabled_debug_info_finders(["debuginfod"])
program.load_default_debug_info()
print("task", program["init_task"].comm.string_().decode())
for module, _ in program.loaded_modules():
    print("module", module.name, module.debug_file_path)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[LiveServer]:
    """On a copy of the world whose sources have a file with an odd name, and a known prefix."""
    home = tmp_path_factory.mktemp("clients")
    shutil.copytree(world.folder.parents[4], home / "store", symlinks=True)
    store = Store(home / "store")
    try:
        store.publish(replace(read_world(home / "store").bundle, source_prefix=PREFIX))
    finally:
        store.close()
    (read_world(home / "store").sources / ODD_NAME).write_text("odd\n")
    with live_server(home) as running:
        yield running


class Client:
    """Runs programs that find their server and their cache in the environment."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self.cache = folder / "cache"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "DEBUGINFOD_URLS": server.url,
            "DEBUGINFOD_CACHE_PATH": str(self.cache),
        }

    def run(self, *command: str | Path, status: int | None = 0) -> str:
        """What the program prints, errors too."""
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=self.environment["HOME"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=120,
        )
        assert status in (None, done.returncode), done.stdout
        return done.stdout

    def find(self, *arguments: str) -> bytes:
        """The file that debuginfod-find brings."""
        return Path(self.run("debuginfod-find", *arguments).strip()).read_bytes()


@pytest.fixture
def client(server: LiveServer, tmp_path: Path) -> Client:
    return Client(server, tmp_path)


def requests(server: LiveServer, text: str) -> int:
    """How many lines of the log have it, once all are there: they are written with a delay."""
    mark = f"/{secrets.token_hex(8)}"
    server.ask(mark)
    wait_for(lambda: server.logged(mark))
    return server.log.read_text().count(text)


def build_id(file: BundleFile) -> str:
    assert file.build_id
    return file.build_id


def test_debuginfod_find(client: Client, world: World) -> None:
    for file in (world.vmlinux, world.module("overlay")):
        whole = world.content(file)
        assert client.find("executable", build_id(file)) == whole
        offset, size = read_sections(world.folder / file.path).places[".debug_line"]
        # Before the debuginfo is there, from which the client would cut the section itself.
        section = client.find("section", build_id(file), ".debug_line")
        assert section == whole[offset : offset + size]
        assert client.find("debuginfo", build_id(file)) == whole
        panic = (world.sources / "kernel/panic.c").read_bytes()
        for name in ("/kernel/panic.c", f"{PREFIX}/kernel/panic.c", "//kernel/./x/../panic.c"):
            assert client.find("source", build_id(file), name) == panic


def test_the_headers_that_debuginfod_find_reports(client: Client, world: World) -> None:
    file = world.module("crc_ccitt")
    said = client.run("debuginfod-find", "-vvv", "debuginfo", build_id(file))
    assert re.search(r"(?mi)^x-debuginfod-file: /.*/crc-ccitt\.ko\r?$", said)
    assert re.search(rf"(?mi)^x-debuginfod-size: {file.size}\r?$", said)
    assert re.search(rf"(?mi)^x-debuginfod-archive: {re.escape(file.package)}\r?$", said)


def test_characters_that_must_be_escaped(client: Client, world: World, server: LiveServer) -> None:
    assert client.find("source", build_id(world.vmlinux), f"/{ODD_NAME}") == b"odd\n"
    assert requests(server, "/source/kernel/p%2B%2Br%24%23o%5E%5E%20g%2541.c 200") == 1


def test_a_client_remembers_a_miss(client: Client, server: LiveServer) -> None:
    for _ in range(2):
        said = client.run("debuginfod-find", "debuginfo", "01234567", status=1)
        assert "Server query failed" in said
    assert requests(server, "/buildid/01234567/debuginfo 404") == 1
    assert (client.cache / "01234567/debuginfo").stat().st_size == 0


def test_what_debuginfod_find_asks_wrongly_is_refused(client: Client) -> None:
    for arguments in (
        ("debuginfo", "abc"),
        ("section", "01234567", ""),
        ("source", "01234567", "/"),
    ):
        client.run("debuginfod-find", *arguments, status=1)


def test_many_at_once_get_the_same(server: LiveServer, world: World) -> None:
    path = f"/buildid/{build_id(world.module('overlay'))}/debuginfo"
    with ThreadPoolExecutor(64) as pool:
        answers = list(pool.map(lambda _: server.ask(path), range(64)))
    whole = world.content(world.module("overlay"))
    assert all(answer.status == 200 and answer.body == whole for answer in answers)


@pytest.fixture
def stripped(world: World, tmp_path: Path) -> Path:
    """A module as a running system has it, without debug information."""
    path = tmp_path / "overlay.ko"
    whole = tmp_path / "whole.ko"
    whole.write_bytes(world.content(world.module("overlay")))
    subprocess.run(["eu-strip", "-g", "-o", path, whole], check=True, timeout=60)
    whole.unlink()
    return path


def test_elfutils(client: Client, world: World, stripped: Path) -> None:
    assert "??:0" in client.run(
        "env", "-u", "DEBUGINFOD_URLS", "eu-addr2line", "-e", stripped, "0x100"
    )
    assert "fs/overlayfs/" in client.run("eu-addr2line", "-f", "-e", stripped, "0x100")
    brought = client.run("debuginfod-find", "debuginfo", build_id(world.module("overlay"))).strip()
    assert build_id(world.module("overlay")) in client.run("eu-readelf", "-n", brought)
    assert "ovl_fill_super" in client.run("eu-readelf", "--debug-dump=info", brought)


GDB = ("gdb", "-q", "-nx", "-batch", "-ex", "set debuginfod enabled on")


def test_gdb_finds_symbols(client: Client, stripped: Path) -> None:
    said = client.run(*GDB, "-ex", f"file {stripped}", "-ex", "info line ovl_fill_super")
    assert re.search(r'Line \d+ of "fs/overlayfs/super.c"', said), said


def test_gdb_finds_sources_below_the_folder_of_the_builder(
    client: Client, world: World, tmp_path: Path
) -> None:
    """Debian's names are relative, and for those gdb's library does not ask: a vmlinux with
    absolute ones, as other distributions have them, is made of it."""
    local = tmp_path / "vmlinux"
    folder = b"debian/build/build_amd64_none_amd64"
    absolute = PREFIX.encode() + b"/" * (len(folder) - len(PREFIX))
    content = world.content(world.vmlinux)
    assert folder in content
    local.write_bytes(content.replace(folder, absolute))
    said = client.run(*GDB, "-ex", f"file {local}", "-ex", "list panic")
    assert "void panic(const char *fmt, ...)" in said, said


def test_drgn_gets_the_kernel_and_its_modules(client: Client) -> None:
    said = client.run(sys.executable, "-c", DRGN, WORLD / "vmcore")
    assert "task swapper/0" in said
    modules = dict(re.findall(r"(?m)^module (\w+) (\S+)$", said))
    assert set(modules) == {"kernel", "configfs", "exportfs", "overlay", "crc_ccitt"}
    assert all(path.startswith(str(client.cache)) for path in modules.values())


def test_curl(client: Client, world: World, server: LiveServer, tmp_path: Path) -> None:
    url = f"{server.url}/buildid/{build_id(world.vmlinux)}/debuginfo"
    whole = world.content(world.vmlinux)
    part = tmp_path / "vmlinux"
    part.write_bytes(whole[:20_000_000])
    client.run("curl", "-sS", "-f", "-C", "-", "-o", part, url)
    assert part.read_bytes() == whole
    assert requests(server, "/debuginfo 206") >= 1
    assert f"Content-Length: {len(whole)}" in client.run("curl", "-sS", "-I", url)
    client.run("curl", "-sS", "-f", "-r", "4-7,100-199", "-o", part, url)
    assert whole[100:200] in part.read_bytes()
    small = f"{server.url}/buildid/{build_id(world.module('overlay'))}/debuginfo"
    client.run("curl", "-sS", "-f", "--compressed", "-o", part, small)
    assert part.read_bytes() == world.content(world.module("overlay"))
    etags = tmp_path / "etag"
    for size in (world.module("overlay").size, 0):
        part.unlink()
        client.run(
            "curl", "-sS", "-f", "--etag-save", etags, "--etag-compare", etags, "-o", part, small
        )
        assert (part.stat().st_size if part.exists() else 0) == size
