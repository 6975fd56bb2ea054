"""A mirror that lets in only who shows a client certificate, or a user and a password."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer

USER, PASSWORD = "SCC_0123", "geheim"


def authority(folder: Path) -> Path:
    """A certificate authority and, signed by it, `server.pem` and the clients `1.pem`, `2.pem`,
    each with its `-key.pem`.  Returns the authority's certificate."""
    _openssl(folder, "req", "-x509", "-newkey", "ec", *_CURVE, "-nodes", "-days", "2",
             "-subj", "/CN=test authority", "-keyout", "ca-key.pem", "-out", "ca.pem")  # fmt: skip
    for name in ("server", "1", "2"):
        (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        _openssl(folder, "req", "-newkey", "ec", *_CURVE, "-nodes", "-subj", f"/CN={name}",
                 "-keyout", f"{name}-key.pem", "-out", "request")  # fmt: skip
        _openssl(folder, "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca-key.pem",
                 "-CAcreateserial", "-days", "2", "-extfile", "names",
                 "-out", f"{name}.pem")  # fmt: skip
    return folder / "ca.pem"


_CURVE = ("-pkeyopt", "ec_paramgen_curve:prime256v1")


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def server_context(folder: Path, demand: ssl.VerifyMode) -> ssl.SSLContext:
    """What a mirror speaks TLS with, that asks clients for a certificate or demands one."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.load_cert_chain(folder / "server.pem", folder / "server-key.pem")
    context.verify_mode = demand
    return context


@contextlib.asynccontextmanager
async def tls_mirror(folder: Path, *, let_in: str) -> AsyncIterator[tuple[str, list[str]]]:
    """Its URL and the names that were shown to it; only the client `let_in` gets an answer."""
    shown: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        transport = request.transport
        certificate = transport.get_extra_info("peercert") if transport else None
        name = certificate["subject"][0][0][1] if certificate else ""
        shown.append(name)
        return web.Response(status=200 if name == let_in else 403, body=b"content")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=server_context(folder, ssl.CERT_OPTIONAL))
    try:
        yield f"https://127.0.0.1:{server.port}", shown
    finally:
        await server.close()


async def behind_password(request: web.Request) -> web.Response:
    """The answer of a mirror that wants `USER` and `PASSWORD`."""
    if request.headers.get("Authorization") != "Basic U0NDXzAxMjM6Z2VoZWlt":
        return web.Response(status=401, headers={"WWW-Authenticate": "Basic"})
    return web.Response(body=b"content")
