"""nginx in front of the server, as a cache that several clients share."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_server import LiveServer, live_server
from tests.processes import wait_for
from tests.server.world_store import World

CONFIG = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    proxy_temp_path {folder}/proxy;
    include {folder}/kernsym.conf;
}}
"""
SITE = Path(__file__).parents[2] / "deploy/nginx.conf"


@pytest.fixture
def server(world_home: Path, tmp_path: Path) -> Iterator[LiveServer]:
    (tmp_path / "store").symlink_to(world_home / "store")
    with live_server(tmp_path) as running:
        yield running


@pytest.fixture
def nginx(server: LiveServer, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx before the server."""
    folder = tmp_path / "nginx"
    folder.mkdir()
    port = free_port()
    user = "user root;" if os.getuid() == 0 else ""
    (folder / "nginx.conf").write_text(CONFIG.format(folder=folder, user=user))
    site = SITE.read_text()
    for published, ours in (
        ("/var/cache/nginx/kernsym", f"{folder}/cache"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("127.0.0.1:8002;", "{}:{};".format(*server.address)),
    ):
        assert published in site
        site = site.replace(published, ours)
    (folder / "kernsym.conf").write_text(site)
    command = [
        "nginx",
        "-p",
        f"{folder}",
        "-c",
        f"{folder}/nginx.conf",
        "-e",
        f"{folder}/error.log",
    ]
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: process.poll() is None and answers(port))
        yield port
    finally:
        process.terminate()
        process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def ask(port: int, path: str, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(
            "GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        answer = connection.getresponse()
        return answer, answer.read()


def test_the_second_client_is_served_from_the_cache(
    nginx: int, server: LiveServer, world: World
) -> None:
    file = world.vmlinux
    path = f"/buildid/{file.build_id}/debuginfo"
    first, body = ask(nginx, path)
    assert first.status == 200 and body == world.content(file)
    assert first.headers["X-Cache"] == "MISS"
    for name in ("ETag", "X-DEBUGINFOD-SIZE", "X-DEBUGINFOD-FILE", "Last-Modified", "Vary"):
        assert first.headers[name] == server.ask(path, method="HEAD").headers[name]
    server.process.terminate()
    server.process.wait(20)
    again, same = ask(nginx, path)
    assert again.headers["X-Cache"] == "HIT" and same == body
    part, some = ask(nginx, path, Range="bytes=1000-1999", If_Range=first.headers["ETag"])
    assert part.status == 206 and some == body[1000:2000]
    assert ask(nginx, path, If_None_Match=first.headers["ETag"])[0].status == 304
    assert ask(nginx, path, Range="bytes=-1,0-3")[0].status == 206


def test_each_encoding_is_kept_for_itself(nginx: int, world: World) -> None:
    path = f"/buildid/{world.module('overlay').build_id}/debuginfo"
    plain = ask(nginx, path)[1]
    for _ in range(2):
        packed, body = ask(nginx, path, Accept_Encoding="gzip")
        assert packed.headers["Content-Encoding"] == "gzip" and gzip.decompress(body) == plain
        assert ask(nginx, path)[1] == plain
    assert packed.headers["X-Cache"] == "HIT"


def test_a_miss_is_not_kept_for_long(nginx: int) -> None:
    path = f"/buildid/{'ab' * 20}/debuginfo"
    seen = [ask(nginx, path)[0] for _ in range(2)]
    assert [answer.status for answer in seen] == [404, 404]
    assert seen[0].headers["X-Cache"] == "MISS"
    assert "max-age=60" in seen[1].headers["Cache-Control"]
