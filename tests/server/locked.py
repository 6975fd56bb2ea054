"""A mirror that lets in only who shows a client certificate, or a user and a password."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from tests.upstream import UpstreamServer

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


def password_guard(request: BaseHTTPRequestHandler) -> int | None:
    """Lets in only who gives `USER` and `PASSWORD`, as SUSE's servers do."""
    given = request.headers.get("Authorization")
    return None if given == "Basic U0NDXzAxMjM6Z2VoZWlt" else HTTPStatus.UNAUTHORIZED


@contextlib.contextmanager
def tls_mirror(
    folder: Path, *, let_in: str, root: Path | None = None
) -> Iterator[tuple[UpstreamServer, list[str]]]:
    """A mirror of `root` with the certificate in `folder` (see `authority`), and the names that
    were shown to it, "" for none: only the client `let_in` gets an answer, as Red Hat's CDN has it.
    """
    shown: list[str] = []

    def guard(request: BaseHTTPRequestHandler) -> int | None:
        assert isinstance(request.connection, ssl.SSLSocket)
        certificate: Any = request.connection.getpeercert()
        shown.append(certificate["subject"][0][0][1] if certificate else "")
        return None if shown[-1] == let_in else HTTPStatus.FORBIDDEN

    context = server_context(folder, ssl.CERT_OPTIONAL)
    with UpstreamServer(root or folder, tls=context, guard=guard) as server:
        yield server, shown
