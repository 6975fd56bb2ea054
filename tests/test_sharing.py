"""One server for several: kernsym itself and debuginfod's own client."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from kernsym.cache import Bundle, Store, Verification
from tests.conftest import DEBUG_PACKAGE, KERNEL, Kernsym
from tests.story import COMMANDS, VMCORE, assert_everything_is_there
from tests.upstream import UpstreamServer


@contextlib.contextmanager
def shared_server(kernsym: Kernsym) -> Iterator[str]:
    """`kernsym serve` on a store of its own, ended by SIGTERM."""
    process = kernsym.start("--store", kernsym.home / "shared", "serve", "--listen", "127.0.0.1:0")
    assert process.stderr is not None
    try:
        for line in process.stderr:
            if found := re.search(r"at (http://\S+)", line):
                yield found[1]
                break
    finally:
        process.terminate()
        process.communicate(timeout=20)
        assert process.returncode == 0


def test_a_shared_server_serves_kernsym_and_debuginfod_clients(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    kernsym.environment["KERNSYM_TOKEN"] = "s3cret"
    with shared_server(kernsym) as url:
        done = kernsym("--server", url, "crash", VMCORE, text=COMMANDS)
        assert_everything_is_there(done.stdout)
        assert str(kernsym.store) in done.stdout, "files are copied to the client's own store"
        assert KERNEL.key in kernsym("--server", url, "ls").stdout
        bundle = json.loads(kernsym("--server", url, "show", "--json", KERNEL.uname).stdout)
        build_id = bundle["verification"]["build_id"]
        environment = {
            **os.environ,
            "DEBUGINFOD_URLS": url,
            "DEBUGINFOD_CACHE_PATH": str(kernsym.home / "c"),
        }
        for kind in (["debuginfo"], ["executable"], ["source", "/kernel/panic.c"]):
            found = subprocess.run(
                ["debuginfod-find", kind[0], build_id, *kind[1:]],
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert Path(found.stdout.strip()).stat().st_size > 1000
    assert mirror.hits[DEBUG_PACKAGE] == 1
    asked = mirror.hits.copy()
    kernsym("crash", VMCORE, text=COMMANDS)
    assert mirror.hits == asked, "what was copied serves without a server"


def test_a_copy_is_kept_apart_from_a_twin_that_is_here(
    kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    other = Verification(by=("banner",), banner="Linux version 6.1 (a@b) #1", build_id="ab" * 20)
    twin = Bundle(kernel=KERNEL, verification=other, packages=(), files=())
    with contextlib.closing(Store(kernsym.store)) as store:
        store.publish(twin)
    kernsym.environment["KERNSYM_TOKEN"] = "s3cret"
    with shared_server(kernsym) as url:
        kernsym("--server", url, "fetch", VMCORE)
    with contextlib.closing(Store(kernsym.store)) as store:
        copied = [bundle for bundle in store.bundles() if bundle.kernel.twin]
        assert store.bundle(KERNEL) == twin
    (bundle,) = copied
    assert bundle.kernel.twin == (bundle.verification.build_id or "")[:8]
    assert (kernsym.store / "kernels" / bundle.kernel.key / bundle.files[0].path).is_file()
