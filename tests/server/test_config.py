"""The server's configuration: what is accepted, and how slips are answered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kernsym.distros import Unusable
from kernsym.server.config import ServerConfig, server_config, split_listen

STORE = Path("/store")
SOURCE = {"distro": "debian", "kind": "apt", "url": "http://x.example/debian", "suite": "bookworm"}


def read(table: dict[str, Any], **flags: Any) -> ServerConfig:
    return server_config(table, store=STORE, **flags)


def test_the_defaults_listen_on_loopback_and_refuse_writes() -> None:
    config = read({})
    assert (config.host, config.port, config.token) == ("127.0.0.1", 8002, None)
    assert config.builtin_sources and not config.offline


def test_a_whole_table(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    config = read(
        {
            "store": "/elsewhere",
            "server": {"listen": "[::1]:80", "token_file": str(token)},
            "source": [{**SOURCE, "signed_by": ["/key.asc"], "signature": "if-present"}],
            "builtin": {"sources": False},
        }
    )
    assert (config.host, config.port, config.token) == ("::1", 80, "s3cret")
    assert not config.builtin_sources
    source = config.sources[0]
    assert (source.suite, source.signed_by, source.signature) == (
        "bookworm",
        ("/key.asc",),
        "if-present",
    )


def test_a_password_is_read_and_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\n")
    config = read({"source": [{**SOURCE, "username": "me", "password_file": str(file)}, SOURCE]})
    (access,) = config.credentials
    assert (access.prefix, access.username, access.password) == (SOURCE["url"], "me", "s3cret")
    assert "s3cret" not in repr(config)


def test_flags_win() -> None:
    config = read({"server": {"listen": "127.0.0.1:1"}}, listen=":2", token="t")
    assert (config.port, config.token) == (2, "t")


@pytest.mark.parametrize(
    ("table", "named"),
    [
        ({"server": {"lisen": "x"}}, "lisen"),
        ({"source": [{**SOURCE, "kind": "ftp"}]}, "ftp"),
        ({"source": [{**SOURCE, "distro": "debiam"}]}, "debiam"),
        ({"source": [{"distro": "debian"}]}, "kind"),
        ({"source": [{**SOURCE, "client_cert": "/no/pem"}]}, "client_cert /no/pem"),
        ({"source": [{**SOURCE, "client_key": "/no/pem"}]}, "client_cert"),
        ({"source": [{**SOURCE, "username": "me"}]}, "password_file"),
        ({"source": [{**SOURCE, "password_file": "/pw"}]}, "username"),
        (
            {"source": [{**SOURCE, "username": "me", "password_file": "/no/pw"}]},
            "password_file /no/pw",
        ),
        ({"server": {"listen": "nowhere"}}, "nowhere"),
        ({"server": {"listen": "a:99999"}}, "99999"),
        ({"server": {"token_file": "/does/not/exist"}}, "/does/not/exist"),
    ],
)
def test_a_slip_is_named(table: dict[str, Any], named: str) -> None:
    with pytest.raises(Unusable) as caught:
        read(table)
    assert caught.value.code == "config-broken" and named in caught.value.message


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a.example:1", ("a.example", 1)), (":1", ("127.0.0.1", 1)), ("[::]:1", ("::", 1))],
)
def test_listen(text: str, expected: tuple[str, int]) -> None:
    assert split_listen(text) == expected
