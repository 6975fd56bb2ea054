"""Disks that are full, read-only or damaged, and clocks that jump, under a real server."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

from tests.conftest import BANNER, DEBUG_PACKAGE
from tests.live_server import TOKEN, LiveServer, fill_store, live_server, module_build_id
from tests.processes import wait_for
from tests.upstream import UpstreamServer

MODULE = f"/buildid/{module_build_id(0)}/debuginfo"
BODY = json.dumps({"fingerprint": {"banner": BANNER}, "modules": []}).encode()
AUTHORIZED: dict[str, Any] = {"Authorization": f"Bearer {TOKEN}"}

# Root may write where nobody may, unless it gives that up.
AS_ANYBODY = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--")


def bring(server: LiveServer) -> dict[str, Any]:
    """The last event of a job that brings the world's kernel."""
    answer = server.ask("/api/v1/symbols", method="POST", body=BODY, **AUTHORIZED)
    assert answer.status == 202, answer.body
    stream = server.ask(f"/api/v1/jobs/{answer.json()['id']}/events", **AUTHORIZED).body.decode()
    last: dict[str, Any] = json.loads(stream.strip().splitlines()[-1].removeprefix("data: "))
    return last


def test_a_full_disk_fails_the_job_and_nothing_else(tmp_path: Path, mirror: UpstreamServer) -> None:
    """No file may grow beyond a megabyte, which the kernel refuses much as it does a full disk."""
    fill_store(tmp_path / "store")
    limits = (1 << 20, 1 << 20)
    with live_server(
        tmp_path,
        mirror=mirror.url,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
    ) as server:
        failed = bring(server)
        assert failed["kind"] == "failed"
        assert failed["problem"]["code"] in ("disk-full", "store-unwritable")
        assert server.ask(MODULE).status == 200
        assert not server.logged("Traceback")
    mirror.hits.clear()
    with live_server(tmp_path, mirror=mirror.url) as server:
        assert bring(server)["kind"] == "done"
    assert mirror.hits[DEBUG_PACKAGE] == 1


def test_a_store_that_cannot_be_written_is_served(tmp_path: Path, mirror: UpstreamServer) -> None:
    fill_store(tmp_path / "store")
    with live_server(tmp_path) as server:
        wait_for(lambda: server.ask("/readyz").status == 200)
    folders = [tmp_path / "store", *(tmp_path / "store").rglob("*")]
    for path in folders:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode & ~0o222)
    before = AS_ANYBODY if os.geteuid() == 0 else ()
    try:
        for settings in ("", "workers = 2"):
            with live_server(tmp_path, settings, mirror=mirror.url, before=before) as server:
                assert server.ask(MODULE).status == 200
                assert len(server.ask("/api/v1/kernels").json()["kernels"]) == 1
                problem = server.ask("/readyz").json()
                assert problem["status"] == 503 and "takes no files" in problem["context"][0]
                assert bring(server)["problem"]["code"] == "store-unwritable"
                assert not server.logged("Traceback")
        with live_server(tmp_path, arguments=("--offline",), before=before) as server:
            assert server.ask(MODULE).status == 200 and server.ask("/readyz").status == 200
    finally:
        for path in folders:
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o200)


def test_an_index_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    bundle = fill_store(tmp_path / "store")
    with live_server(tmp_path) as server:
        wait_for(lambda: server.ask("/readyz").status == 200)
    for path in (tmp_path / "store/index").rglob("*.db"):
        path.write_bytes(os.urandom(path.stat().st_size))
    with live_server(tmp_path) as server:
        assert server.ask(MODULE).status == 200, "the manifests and links are enough"
        wait_for(lambda: server.ask("/readyz").status == 200)
        for file in bundle.files:
            assert server.ask(f"/buildid/{file.build_id}/debuginfo").status == 200
        for path in (tmp_path / "store/index").rglob("*.db"):
            with contextlib.suppress(FileNotFoundError):  # the server drops damaged ones
                path.write_bytes(os.urandom(path.stat().st_size))
        assert server.ask(f"/buildid/{module_build_id(1)}/debuginfo").status == 200
        wait_for(lambda: server.ask("/readyz").status == 200)


_JUMPING = """
import runpy, signal, sys, time
real, shift = time.time, [0.0]
time.time = lambda: real() + shift[0]
signal.signal(signal.SIGUSR1, lambda *_: shift.__setitem__(0, shift[0] + 3e8))
signal.signal(signal.SIGUSR2, lambda *_: shift.__setitem__(0, shift[0] - 9e8))
sys.argv = sys.argv[3:]
runpy.run_module("kernsym.server", run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_jumps_disturbs_nobody(tmp_path: Path, mirror: UpstreamServer) -> None:
    """By ten years ahead, then thirty back, while a job runs."""
    fill_store(tmp_path / "store")
    mirror.rate = 2_000_000
    before = (sys.executable, "-c", _JUMPING)
    with live_server(tmp_path, mirror=mirror.url, before=before) as server:
        answer = server.ask("/api/v1/symbols", method="POST", body=BODY, **AUTHORIZED)
        job = answer.json()["id"]
        for jump in (signal.SIGUSR1, signal.SIGUSR2):
            server.process.send_signal(jump)
            assert server.ask(MODULE).status == 200
        wait_for(lambda: server.ask(f"/api/v1/jobs/{job}", **AUTHORIZED).json()["state"] == "done")
        shown = server.ask(f"/api/v1/jobs/{job}", **AUTHORIZED).json()
        assert 0 < shown["seconds"] < 100
        assert not server.logged("Traceback")
