"""The description of the API says what is served, and the server does what it says."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernsym.cache import Bundle, FileRole
from kernsym.cache.tokens import TokenRole
from kernsym.server.app import ROUTES, build_app
from kernsym.server.config import ServerConfig
from kernsym.server.openapi import describe
from kernsym.server.problems import status_of
from tests.live_server import KERNEL, TOKEN, fill_store, live_server

DOCUMENT = describe(ROUTES, open_reads=True)


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in DOCUMENT["paths"].items()
        for method, operation in methods.items()
    }


async def test_every_route_is_described_and_nothing_else(tmp_path: Path) -> None:
    app = build_app(ServerConfig(store=tmp_path, host="127.0.0.1", port=0))
    served = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert served == set(operations())


def test_every_operation_says_what_it_does_under_a_name_of_its_own() -> None:
    assert all(operation["summary"] for operation in operations().values())
    names = [operation["operationId"] for operation in operations().values()]
    assert len(names) == len(set(names))


def test_every_declared_problem_has_a_status_of_its_own() -> None:
    for route in ROUTES:
        assert all(status_of(code, kind=code) != 500 for code in route.problems), route.path


def test_what_writes_needs_a_token_and_what_reads_does_as_configured() -> None:
    for open_reads in (True, False):
        for route in ROUTES:
            path = re.sub(r":[^{}]+\}", "}", route.path)
            described = describe(ROUTES, open_reads=open_reads)["paths"][path]
            needed = described[route.method.lower()].get("security", [{}])
            free = route.role is None or (route.role is TokenRole.READ and open_reads)
            assert ({} in needed) == free


def test_every_reference_leads_somewhere() -> None:
    names = set(re.findall(r"#/components/schemas/(\w+)", str(DOCUMENT)))
    assert names <= set(DOCUMENT["components"]["schemas"])


def known_names(bundle: Bundle) -> str:
    """A configuration of Schemathesis that names, now and then, what is held."""
    file = next(file for file in bundle.files if file.role is FileRole.MODULE)
    kernel = bundle.kernel
    names = {
        "distro": kernel.distro,
        "arch": kernel.arch,
        "uname": kernel.uname,
        "version": kernel.version,
        "path": file.path,
    }
    held = "\n".join(f'"path.{name}" = "{value}"' for name, value in names.items())
    return f"""
[parameters]
{held}
[[operations]]
include-path-regex = "^/buildid/"
parameters = {{ "path.id" = "{file.build_id}", "path.name" = ".text" }}
"""


# It does not know how to write a tar or a bundle, and sends any bytes.
UPLOADS = """
import schemathesis

for kind in ("application/x-tar", "application/zstd"):
    schemathesis.serializer.alias(kind, "application/octet-stream")
"""


@pytest.mark.parametrize("token", [TOKEN, None], ids=["admin", "nobody"])
def test_the_server_does_what_its_description_says(tmp_path: Path, token: str | None) -> None:
    """Schemathesis makes up requests, good and bad ones, and compares the answers with it."""
    bundle = fill_store(tmp_path / "store")
    (tmp_path / "schemathesis.toml").write_text(known_names(bundle))
    (tmp_path / "uploads.py").write_text(UPLOADS)
    authorization = ["--header", f"Authorization: Bearer {token}"] if token else []
    with live_server(tmp_path, arguments=("--offline",)) as server:
        found = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")),
                "run",
                f"{server.url}/openapi.json",
                "--checks=all",
                # A banner that is well-formed need not be that of a kernel.
                "--exclude-checks=positive_data_acceptance",
                "--max-examples=15",
                "--generation-deterministic",
                "--no-color",
                *authorization,
            ],
            cwd=tmp_path,
            env={**os.environ, "SCHEMATHESIS_HOOKS": "uploads"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert found.returncode == 0, found.stdout[-6000:] + found.stderr[-2000:]
        assert server.ask(f"/api/v1/kernels/{KERNEL.key}").status in (200, 404)
        assert not server.logged("ERROR"), "a fault of ours"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\r\nx: \x00\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * 9000 + b"\r\n\r\n", 400),
        (b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PATCH / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"PATCH /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"POST /api/v1/identify HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{", 400),
        (
            b"POST /api/v1/identify HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"500001\r\n" + b"y" * 0x500001 + b"\r\n0\r\n\r\n",
            413,
        ),
    ],
    ids=[
        "header",
        "tls",
        "long",
        "unknown method",
        "unknown path",
        "other method",
        "no json",
        "large",
    ],
)
def test_what_is_no_proper_request_is_a_problem_too(
    tmp_path: Path, request_bytes: bytes, status: int
) -> None:
    with live_server(tmp_path) as server:
        with socket.create_connection(server.address, timeout=20) as line:
            with contextlib.suppress(ConnectionError):
                line.sendall(request_bytes)
            with contextlib.closing(http.client.HTTPResponse(line)) as answer:
                answer.begin()
                assert answer.status == status
                assert answer.headers["Content-Type"] == "application/problem+json"
                assert json.loads(answer.read())["status"] == status
        assert not server.logged("Traceback")
