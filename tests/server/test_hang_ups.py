"""Servers that hang up on who shows no client certificate, and those that only hang up."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path

import pytest

from kernsym.distros import CouldNotFindOut
from kernsym.server.mirrors.credentials import Access
from tests.server.locked import authority, server_context
from tests.server.test_credentials import ask, certificates
from tests.upstream import UpstreamServer


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority(folder)
    return folder


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_hangs_up_without_a_certificate(
    tmp_path: Path, tls: Path, version: ssl.TLSVersion
) -> None:
    context = server_context(tls, ssl.CERT_REQUIRED)
    context.maximum_version = version
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/repomd.xml").write_bytes(b"content")
    with UpstreamServer(tmp_path, tls=context) as mirror:
        trusted = Access(prefix=mirror.url, origin="the ca", authority=tls / "ca.pem")
        # Under TLS 1.3 its alert may be lost with the connection, or not: a matter of luck.
        for _ in range(5):
            with pytest.raises(CouldNotFindOut) as error:
                await ask(tmp_path, mirror.url, [trusted])
            assert error.value.code == "credentials-missing"
            assert "client_cert" in (error.value.hint or "")
        ways = [trusted, *certificates(tls, mirror.url, "2")]
        assert await ask(tmp_path, mirror.url, ways) == b"content"


async def test_a_server_that_hangs_up_for_no_reason(tmp_path: Path, tls: Path) -> None:
    """It wants no certificate: it is only broken."""
    context = server_context(tls, ssl.CERT_NONE)
    (tmp_path / "repo").mkdir()
    (tmp_path / "repo/repomd.xml").write_bytes(b"content")
    with UpstreamServer(tmp_path, tls=context) as mirror:
        mirror.cut_after = 0
        trusted = Access(prefix=mirror.url, origin="the ca", authority=tls / "ca.pem")
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, mirror.url, [trusted])
    assert error.value.code == "mirror-unreachable"


async def test_a_server_whose_alert_is_lost(tmp_path: Path, tls: Path) -> None:
    """The request overtook it, so that the connection was reset; to who says nothing it is said."""
    lenient, strict = (server_context(tls, mode) for mode in (ssl.CERT_NONE, ssl.CERT_REQUIRED))
    reset = struct.pack("ii", 1, 0)

    def serve() -> None:
        with lenient.wrap_socket(listener.accept()[0], server_side=True) as first:
            first.recv(65536)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        listener.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while True:
                with listener.accept()[0] as later, contextlib.suppress(OSError):
                    strict.wrap_socket(later, server_side=True)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        trusted = Access(prefix=url, origin="the ca", authority=tls / "ca.pem")
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, url, [trusted])
        thread.join()
    assert error.value.code == "credentials-missing"
