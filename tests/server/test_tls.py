"""TLS: kernsym's and debuginfod's clients, with tokens; certificates that are renewed or broken."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from kernsym.cache.tokens import TokenRole, add_token, new_token
from kernsym.distros import Unusable
from kernsym.server.config import Options
from kernsym.server.process.tls import Certificate
from tests.conftest import Kernsym
from tests.live_server import KERNEL, LiveServer, fill_store, live_server
from tests.processes import wait_for
from tests.server.locked import authority

TLS = 'tls_cert = "{0}/server.pem"\ntls_key = "{0}/server-key.pem"'


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority(folder)
    return folder


def shown_by(server: LiveServer, folder: Path) -> bytes:
    """The certificate that the server shows."""
    context = ssl.create_default_context(cafile=folder / "ca.pem")
    with (
        socket.create_connection(server.address) as line,
        context.wrap_socket(line, server_hostname="127.0.0.1") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""


def test_clients_with_tokens_come_in_over_tls(
    tmp_path: Path, kernsym: Kernsym, certificates: Path
) -> None:
    fill_store(tmp_path / "store")
    token, words = new_token(TokenRole.READ)
    add_token(tmp_path / "tokens", token)
    (tmp_path / "token").write_text(words)
    settings = f'tokens_file = "{tmp_path / "tokens"}"\ntoken_for_reads = true\n'
    with live_server(tmp_path, settings + TLS.format(certificates)) as server:
        assert server.url.startswith("https://")
        there = ("--server", server.url, "--token-file", tmp_path / "token")
        assert "error[server-unreachable]" in kernsym(*there, "ls", status=5).stderr
        config = Path(kernsym.environment["KERNSYM_CONFIG"])
        config.write_text(f'[client]\nca = "{certificates}/ca.pem"\n')
        assert KERNEL.key in kernsym(*there, "ls").stdout
        assert "error[token-required]" in kernsym("--server", server.url, "ls", status=5).stderr


def test_debuginfods_clients_show_their_token(tmp_path: Path) -> None:
    """They read their headers from a file; whom they trust over TLS is the system's."""
    bundle = fill_store(tmp_path / "store")
    token, words = new_token(TokenRole.READ)
    add_token(tmp_path / "tokens", token)
    (tmp_path / "headers").write_text(f"Authorization: Bearer {words}\n")
    settings = f'tokens_file = "{tmp_path / "tokens"}"\ntoken_for_reads = true'
    with live_server(tmp_path, settings) as server:
        environment = {
            **os.environ,
            "DEBUGINFOD_URLS": server.url,
            "DEBUGINFOD_CACHE_PATH": str(tmp_path / "cache"),
        }
        build_id = bundle.verification.build_id or ""
        for more, status in (({}, 1), ({"DEBUGINFOD_HEADERS_FILE": f"{tmp_path}/headers"}, 0)):
            shutil.rmtree(tmp_path / "cache", ignore_errors=True)
            found = subprocess.run(
                ["debuginfod-find", "-v", "debuginfo", build_id],
                env=environment | more,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert found.returncode == status, found.stderr


def test_old_tls_is_not_spoken(tmp_path: Path, certificates: Path) -> None:
    with live_server(tmp_path, TLS.format(certificates)) as server:
        said = subprocess.run(
            ["openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0",
             "-connect", ":".join(map(str, server.address))],
            input="", capture_output=True, text=True, timeout=30,
        )  # fmt: skip
        assert said.returncode != 0
        assert shown_by(server, certificates)


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(
    tmp_path: Path, certificates: Path
) -> None:
    with live_server(tmp_path, TLS.format(certificates)) as server:
        first = shown_by(server, certificates)
        shutil.copy(certificates / "1.pem", certificates / "server.pem")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: server.logged("cannot be used"))
        assert shown_by(server, certificates) == first, "the key is of another certificate"
        shutil.copy(certificates / "1-key.pem", certificates / "server-key.pem")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: shown_by(server, certificates) != first)


@pytest.mark.parametrize(
    ("listen", "tls", "warns"),
    [("127.0.0.1:0", False, False), ("0.0.0.0:0", False, True), ("0.0.0.0:0", True, False)],
)
def test_listening_in_the_open_is_warned_of(
    tmp_path: Path, certificates: Path, listen: str, tls: bool, warns: bool
) -> None:
    settings = TLS.format(certificates) if tls else ""
    with live_server(tmp_path, settings, arguments=("--listen", listen)) as server:
        assert server.logged("WITHOUT TLS") == warns


@pytest.mark.parametrize(
    "options",
    [
        Options(tls_key="/nothing"),
        Options(tls_cert="/nothing"),
        Options(tls_cert="/etc/hostname"),
    ],
)
def test_a_broken_certificate_is_said(options: Options) -> None:
    with pytest.raises(Unusable) as caught:
        Certificate(options)
    assert caught.value.code == "tls-broken"
