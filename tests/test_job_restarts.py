"""Jobs of a real server that is killed, stopped and started again, and that people cancel."""

from __future__ import annotations

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from kernsym.cache.tokens import TokenRole, add_token, new_token
from tests.conftest import BANNER, DEBUG_PACKAGE, KERNEL, WORLD, Kernsym
from tests.live_server import TOKEN, LiveServer, live_server
from tests.processes import wait_for
from tests.upstream import UpstreamServer

SIZE = (WORLD / "repo" / DEBUG_PACKAGE.lstrip("/")).stat().st_size
ADMIN = f"Bearer {TOKEN}"


@pytest.fixture
def listen() -> str:
    """An address that stays the same over restarts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def settings(mirror: UpstreamServer, more: str = "") -> str:
    return f"""
{more}
[[source]]
distro = "debian"
kind = "apt"
url = "{mirror.url}"
suite = "bookworm"
signed_by = ["{WORLD / "archive-key.asc"}"]
"""


def only_job(server: LiveServer) -> dict[str, object]:
    (job,) = server.ask("/api/v1/jobs", Authorization=ADMIN).json()["jobs"]
    assert isinstance(job, dict)
    return job


@pytest.mark.parametrize(("how", "ends"), [(signal.SIGKILL, -9), (signal.SIGTERM, 0)])
def test_a_job_goes_on_after_a_restart_and_so_does_who_follows_it(
    tmp_path: Path,
    kernsym: Kernsym,
    mirror: UpstreamServer,
    listen: str,
    how: signal.Signals,
    ends: int,
) -> None:
    kernsym.environment["KERNSYM_TOKEN"] = TOKEN
    arguments = ("--listen", listen)
    mirror.rate = 4_000_000
    with live_server(tmp_path, settings(mirror), arguments=arguments, ends=ends) as server:
        client = kernsym.start("--server", server.url, "fetch", BANNER, "--modules", "overlay")
        wait_for(lambda: mirror.bytes_sent > SIZE // 3)
        before = only_job(server)
        assert before["state"] == "running"
        os.kill(server.process.pid, how)
        server.process.wait(20)
    mirror.rate = None
    with live_server(tmp_path, settings(mirror), arguments=arguments) as server:
        out, err = client.communicate(timeout=60)
        assert client.returncode == 0, err
        assert Path(out.strip()).is_file()
        after = only_job(server)
        assert (after["id"], after["state"]) == (before["id"], "done")
        first, last = (job["last_event"] for job in (before, after))
        assert isinstance(first, dict) and isinstance(last, dict) and last["id"] > first["id"]
    assert mirror.hits[DEBUG_PACKAGE] == 2
    assert mirror.bytes_sent < SIZE * 1.5, "the second request asked for the rest"
    with live_server(tmp_path, settings(mirror), arguments=arguments) as server:
        assert only_job(server) == after, "the history outlives the server"
        events = server.ask(f"/api/v1/jobs/{after['id']}/events", Authorization=ADMIN).body
        assert b"event: done" in events
    assert mirror.hits[DEBUG_PACKAGE] == 2


def test_a_job_is_cancelled_by_who_may_and_its_download_goes_on_later(
    tmp_path: Path, kernsym: Kernsym, mirror: UpstreamServer
) -> None:
    words = {}
    for name, role in (("one", TokenRole.FETCH), ("two", TokenRole.FETCH)):
        token, words[name] = new_token(role, comment=name)
        add_token(tmp_path / "tokens", token)
        (tmp_path / name).write_text(words[name] + "\n")
    mirror.rate = 1_000_000
    more = f'tokens_file = "{tmp_path / "tokens"}"'
    with live_server(tmp_path, settings(mirror, more)) as server:
        mine = ("--server", server.url, "--token-file", tmp_path / "one")
        others = ("--server", server.url, "--token-file", tmp_path / "two")
        client = kernsym.start(*mine, "fetch", BANNER)
        wait_for(lambda: mirror.bytes_sent > SIZE // 3)
        job_id = str(only_job(server)["id"])
        assert "error[job-shared]" in kernsym(*others, "jobs", "cancel", job_id, status=1).stderr
        assert "cancelled" in kernsym(*mine, "jobs", "cancel", job_id).stderr
        assert mirror.bytes_sent < SIZE, "it does not wait for the download"
        _, err = client.communicate(timeout=20)
        assert client.returncode == 5 and "error[cancelled]" in err
        assert "error[job-over]" in kernsym(*mine, "jobs", "cancel", job_id, status=1).stderr

        listed = kernsym(*mine, "jobs").stdout
        assert job_id in listed and KERNEL.key in listed and "cancelled" in listed
        followed = kernsym(*mine, "--json", "jobs", job_id, status=0).stdout.splitlines()
        assert json.loads(followed[-1])["kind"] == "cancelled"

        mirror.rate = None
        sent = mirror.bytes_sent
        kernsym(*others, "fetch", BANNER)
        assert mirror.bytes_sent - sent < SIZE * 3 // 4
        done = kernsym(
            *others, "jobs", str(server.ask("/api/v1/jobs?limit=1").json()["jobs"][0]["id"])
        )
        assert "verified" in done.stderr and "done" in done.stderr
    for log in (server.log.read_text(), listed, err):
        assert not any(text in log for text in words.values())
