"""A module that is asked for when the job that brings its kernel is about to end: a real server."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import DEBUG_PACKAGE, FACTS, WORLD
from tests.live_server import live_server
from tests.processes import wait_for
from tests.server.world_store import World


def test_it_comes_too(tmp_path: Path, world: World) -> None:
    """vmlinux is given before it is published, and a debugger asks for the modules at once."""
    folder = (WORLD / "repo" / DEBUG_PACKAGE.lstrip("/")).parent
    lines = ("[[source]]", 'distro = "debian"', 'kind = "directory"', 'signature = "skip"')
    source = "\n".join((*lines, f'url = "{folder.as_uri()}"'))
    with live_server(tmp_path, source) as server:
        wait_for(lambda: server.logged("are known"), 120)  # it yields to all others
        module = world.module("configfs")
        for build_id in (FACTS.fingerprint.build_id, module.build_id):
            assert server.ask(f"/buildid/{build_id}/debuginfo").status == 200
