"""A kernel that lies in a package is handed out while it is unpacked: real server, real clients."""

from __future__ import annotations

import http.client
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import DEBUG_PACKAGE, FACTS, KERNEL, WORLD
from tests.deb_writer import deb
from tests.debuginfod_process import find
from tests.live_server import LiveServer, live_server
from tests.processes import wait_for
from tests.server.test_on_demand import BEARER, debuginfo, remove, wait_until_listed
from tests.server.world_store import World

VMLINUX = FACTS.fingerprint.build_id or ""
PATH = f"/buildid/{VMLINUX}/debuginfo"
CUT_OR_REFUSED = (18, 22, 56)  # what curl ends with
DAMAGED_AT = 0.7  # of the package: in the last third of vmlinux


@contextmanager
def serving_a_folder(folder: Path, settings: str = "") -> Iterator[LiveServer]:
    """A server that has looked through a folder with the world's package, in `folder/packages`."""
    package = package_in(folder)
    package.parent.mkdir()
    shutil.copy(WORLD / "repo" / DEBUG_PACKAGE.lstrip("/"), package)
    source = f"""
[[source]]
distro = "debian"
kind = "directory"
url = "{package.parent.as_uri()}"
signature = "skip"
"""
    with live_server(folder, settings + source) as server:
        wait_until_listed(server)
        yield server


def package_in(folder: Path) -> Path:
    return folder / "packages" / Path(DEBUG_PACKAGE).name


def jobs(server: LiveServer) -> list[str]:
    found = server.ask("/api/v1/jobs", Authorization=BEARER).json()["jobs"]
    return [job["state"] for job in found]


def leftovers(folder: Path) -> list[str]:
    """What unfinished work leaves in a store."""
    return [path.name for path in (folder / "store/kernels").rglob("*.part")]


def test_many_who_ask_share_the_unpacking(tmp_path: Path, world: World) -> None:
    content = world.content(world.vmlinux)
    with serving_a_folder(tmp_path) as server:
        with ThreadPoolExecutor(8) as pool:
            whole = [pool.submit(debuginfo, server, VMLINUX) for _ in range(3)]
            part = pool.submit(server.ask, PATH, Range="bytes=5000000-5000999")
            end = pool.submit(server.ask, PATH, Range="bytes=-70000")
            head = pool.submit(server.ask, PATH, method="HEAD")
            tag = pool.submit(server.ask, PATH, If_None_Match='"another"')
            found = pool.submit(find, server.url, tmp_path / "cache", "debuginfo", VMLINUX)
            for asked in whole:
                answer = asked.result()
                assert answer.status == 200 and answer.body == content
                assert answer.headers["X-DEBUGINFOD-SIZE"] == str(len(content))
            assert (part.result().status, part.result().body) == (206, content[5000000:5001000])
            assert (end.result().status, end.result().body) == (206, content[-70000:])
            assert head.result().headers["Content-Length"] == str(len(content))
            assert tag.result().headers["ETag"], "only the whole file has one, so it was waited for"
            assert Path(found.result().stdout.strip()).read_bytes() == content
        wait_for(lambda: jobs(server) == ["done"])
        later = debuginfo(server, VMLINUX)
        assert later.body == content
        assert later.headers["ETag"].startswith(f'"{VMLINUX}-debuginfo-')
        assert not leftovers(tmp_path)


@pytest.mark.parametrize("settings", ["", "workers = 2\n"])
def test_a_damaged_kernel_is_broken_off_and_never_whole(
    tmp_path: Path, world: World, settings: str
) -> None:
    content = world.content(world.vmlinux)
    with serving_a_folder(tmp_path, settings) as server:
        package = package_in(tmp_path)
        sound = package.read_bytes()
        at = int(len(sound) * DAMAGED_AT)
        replace(package, sound[:at] + bytes(64) + sound[at + 64 :])
        begun = 0
        for _ in range(20):  # it may be found out before the first byte has gone out
            body, cut = ask_and_count(server)
            assert cut or not body, "an answer that began and was not cut is whole"
            assert content.startswith(body) and len(body) < len(content)
            begun += len(body) > 0
            if begun:
                break
        assert begun
        curl = subprocess.run(["curl", "-sSf", "-o", "/dev/null", server.url + PATH])
        assert curl.returncode in CUT_OR_REFUSED
        found = find(server.url, tmp_path / "cache", "debuginfo", VMLINUX)
        assert found.returncode != 0 and not found.stdout
        wait_for(lambda: set(jobs(server)) == {"failed"})
        assert not leftovers(tmp_path)
        assert not (tmp_path / "store/kernels" / KERNEL.key / "manifest.json").exists()
        replace(package, sound)
        assert debuginfo(server, VMLINUX).body == content, "what failed is not remembered"


def replace(package: Path, content: bytes) -> None:
    beside = package.with_name("beside")
    beside.write_bytes(content)
    beside.replace(package)


def ask_and_count(server: LiveServer) -> tuple[bytes, bool]:
    """What came of the file, and whether it was cut; b"" and False for an error that says why."""
    connection = http.client.HTTPConnection(*server.address, timeout=30)
    try:
        connection.request("GET", PATH)
        answer = connection.getresponse()
        if answer.status != 200:
            assert answer.status == 502
            return b"", False
        try:
            return answer.read(), False
        except http.client.IncompleteRead as error:
            return error.partial, True
        except ConnectionResetError:
            return b"", True
    finally:
        connection.close()


def test_what_proves_to_be_another_kernel_lacks_its_end(tmp_path: Path, world: World) -> None:
    """Its build ID is the one that was asked for, its banner is not."""
    content = world.content(world.vmlinux)
    with serving_a_folder(tmp_path) as server:
        assert debuginfo(server, VMLINUX).body == content
        wait_for(lambda: jobs(server) == ["done"])
        remove(server)
        banner = world.bundle.verification.banner.encode()
        other = banner.replace(b"SMP", b"PMS")
        path = f"./usr/lib/debug/boot/vmlinux-{KERNEL.uname}"
        replace(package_in(tmp_path), deb([(path, content.replace(banner, other))], suffix=""))
        for _ in range(3):
            body, cut = ask_and_count(server)
            assert len(body) <= len(content) - (64 << 10)
            assert cut or not body
        wait_for(lambda: set(jobs(server)) == {"failed", "done"})
        assert not (tmp_path / "store/kernels" / KERNEL.key / "manifest.json").exists()
