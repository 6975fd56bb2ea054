"""The debuginfod addresses under requests that no client of good will sends, as raw bytes."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest

from tests.live_server import LiveServer
from tests.processes import wait_for
from tests.server.world_store import World


def raw(server: LiveServer, target: bytes, *headers: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer to a request whose target is sent as it is."""
    lines = [b"GET %s HTTP/1.1" % target, b"Host: x", b"Connection: close", *headers, b"", b""]
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(b"\r\n".join(lines))
        answer = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


def files_open(server: LiveServer, part: str) -> list[str]:
    """Which files below `part` of the store the server has open."""
    links = []
    for path in Path(f"/proc/{server.process.pid}/fd").iterdir():
        try:
            links.append(str(path.readlink()))
        except FileNotFoundError:  # closed meanwhile
            continue
    return [link for link in links if part in link]


@pytest.mark.parametrize(
    "name",
    [
        b"../../../../../../../../etc/passwd",
        b"/../../../../../../../../etc/passwd",
        b"..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        b"%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        b"kernel/../../../../../../../../etc/passwd",
        b"..\\..\\..\\etc\\passwd",
        b"..%5c..%5cetc%5cpasswd",
        b"%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd",
        b"../../manifest.json",
        b"//etc/passwd",
        b"/proc/self/environ",
        b"kernel",
        b".",
        b"..",
        b"%2f",
        b"%0a",
        b"kernel/panic.c%00.h",
        b"%00",
        b"kernel/panic.c%0d%0aX-Evil:%20yes",
        b"\xff\xfe",
        b"%ff%fe",
        b"kernel/%zz",
        b"a" * 300,
        b"a/" * 3000,
        b"kernel/" + b"../kernel/" * 700 + b"nothing.c",
    ],
)
@pytest.mark.parametrize("kind", [b"source", b"section"])
def test_no_name_leads_anywhere(
    kind: bytes, name: bytes, world: World, world_server: LiveServer
) -> None:
    build_id = (world.vmlinux.build_id or "").encode()
    status, head, body = raw(world_server, b"/buildid/%s/%s/%s" % (build_id, kind, name))
    assert status in (400, 404), head
    assert b"root:" not in body and b"Evil" not in head and b"Traceback" not in body
    assert world_server.ask("/healthz").status == 200


@pytest.mark.parametrize(
    "text",
    [
        b"%00" * 8,
        b"..",
        b"%2e%2e",
        b"\xff" * 40,
        b"%ff" * 20,
        b"0" * 4000,
        b"%3600f58bbe4",
        b"-" * 40,
    ],
)
@pytest.mark.parametrize("kind", [b"debuginfo", b"executable", b"section/.text", b"source/a"])
def test_no_build_id_leads_anywhere(kind: bytes, text: bytes, world_server: LiveServer) -> None:
    status, head, _ = raw(world_server, b"/buildid/%s/%s" % (text, kind))
    assert status in (400, 404), head


def test_a_request_that_is_too_long_is_refused(world: World, world_server: LiveServer) -> None:
    target = b"/buildid/%s/source/" % (world.vmlinux.build_id or "").encode()
    assert raw(world_server, target + b"a" * 100_000)[0] == 400
    assert raw(world_server, target + b"kernel/panic.c", b"Range: " + b"0" * 100_000)[0] == 400
    assert not world_server.logged("Unhandled")


@pytest.mark.parametrize(
    "header",
    [
        b"bytes=" + b"9" * 4400 + b"-",
        b"bytes=-" + b"9" * 4400,
        b"bytes=" + b",".join([b"0-"] * 2000),
        b"bytes=0-0," * 700,
        b"bytes=18446744073709551615-18446744073709551616",
        b"bytes=-0,-0",
        b"bytes=\xff-\xfe",
        b"bytes==0-1",
        b"bytes=0x0-0x10",
        b"bytes=1e3-",
        b"bytes=-1-",
    ],
)
def test_absurd_ranges_cost_no_more_than_the_file(
    header: bytes, world: World, world_server: LiveServer
) -> None:
    file = world.module("crc_ccitt")
    target = b"/buildid/%s/debuginfo" % (file.build_id or "").encode()
    status, head, body = raw(world_server, target, b"Range: " + header)
    assert status in (200, 206, 400, 416), head
    assert len(body) <= file.size + 1000


@pytest.mark.parametrize(
    "headers",
    [
        [b'If-None-Match: "' + b'","' * 2000 + b'"'],
        [b"If-Modified-Since: Thu, 99 Foo 99999999999 99:99:99 GMT"],
        [b"If-Modified-Since: Thu, 01 Jan 0001 00:00:00 +9999"],
        [b"If-Range: \xff", b"Range: bytes=0-1"],
        [b"Accept-Encoding: " + b"zstd;q=nan," * 500],
        [b"Accept-Encoding: zstd;q=\xff"],
        [b"X-DEBUGINFOD-MAXSIZE: " + b"9" * 5000],
        [b"X-DEBUGINFOD-MAXSIZE: -1"],
    ],
)
def test_absurd_headers(headers: list[bytes], world: World, world_server: LiveServer) -> None:
    target = b"/buildid/%s/debuginfo" % (world.module("crc_ccitt").build_id or "").encode()
    status, head, _ = raw(world_server, target, *headers)
    assert status in (200, 206, 400), head
    assert world_server.ask("/healthz").status == 200


def test_clients_that_vanish_in_mid_body_leave_nothing_behind(
    world: World, world_server: LiveServer
) -> None:
    before = world_server.log.read_text().count("Traceback")
    target = f"/buildid/{world.vmlinux.build_id}/debuginfo"
    request = f"GET {target} HTTP/1.1\r\nHost: x\r\n"
    for more in ("", "Range: bytes=0-9,1000-30000000\r\n"):
        for _ in range(20):
            with socket.create_connection(world_server.address, timeout=20) as connection:
                # A reset while the body is on its way.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                connection.sendall(f"{request}{more}\r\n".encode())
                assert re.match(rb"HTTP/1.1 20[06]", connection.recv(1000))
    wait_for(lambda: not files_open(world_server, "vmlinux"))
    assert world_server.ask(target, method="HEAD").status == 200
    assert world_server.log.read_text().count("Traceback") == before


def test_a_client_that_stops_reading_does_not_hold_up_others(
    world: World, world_server: LiveServer
) -> None:
    target = f"/buildid/{world.vmlinux.build_id}/debuginfo"
    with socket.create_connection(world_server.address, timeout=20) as connection:
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert connection.recv(10)
        for _ in range(20):
            assert world_server.ask(target, Range="bytes=0-99").status == 206
        assert files_open(world_server, "vmlinux"), "the slow one is still being served"
    wait_for(lambda: not files_open(world_server, "vmlinux"))
