"""Mirrors that ask for credentials: real TLS and real basic auth on loopback."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web

from kernsym.distros import CouldNotFindOut
from kernsym.server.config import server_config
from kernsym.server.mirrors.credentials import CONFIGURED, Access, Credentials
from kernsym.server.mirrors.upstream import Limits, Upstream
from tests.server.answering import serving
from tests.server.locked import (
    PASSWORD,
    USER,
    authority,
    password_guard,
    server_context,
    tls_mirror,
)
from tests.upstream import UpstreamServer

QUICK = Limits(connect=2.0, stall=1.0, attempts=2, first_pause=0.01)
CDN = "https://cdn.redhat.com/content/dist/rhel8/8/x86_64/baseos/debug/repodata/repomd.xml"
UPDATES = "https://updates.suse.com/SUSE/Updates/x/repodata/repomd.xml"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    authority(folder)
    write_page(folder)
    return folder


def write_page(folder: Path) -> None:
    (folder / "repo").mkdir()
    (folder / "repo/repomd.xml").write_bytes(b"content")


def certificates(tls: Path, url: str, *names: str) -> list[Access]:
    return [
        Access(
            prefix=url,
            origin=f"certificate {name}",
            certificate=tls / f"{name}.pem",
            key=tls / f"{name}-key.pem",
            authority=tls / "ca.pem",
        )
        for name in names
    ]


async def ask(tmp_path: Path, url: str, ways: Sequence[Access], times: int = 1) -> bytes | None:
    async with Upstream(tmp_path / "p", QUICK, credentials=Credentials(ways, tmp_path)) as upstream:
        for _ in range(times):
            body = await upstream.page(f"{url}/repo/repomd.xml", fresh=True)
    return body


async def test_each_certificate_is_tried_and_the_right_one_kept(tmp_path: Path, tls: Path) -> None:
    with tls_mirror(tls, let_in="2") as (mirror, shown):
        ways = certificates(tls, mirror.url, "1", "2")
        assert await ask(tmp_path, mirror.url, ways, times=3) == b"content"
        assert shown == ["1", "2", "2", "2"]


async def test_without_a_certificate_the_error_says_so(tmp_path: Path, tls: Path) -> None:
    with tls_mirror(tls, let_in="1") as (mirror, shown):
        trusted = Access(prefix=mirror.url, origin=CONFIGURED, authority=tls / "ca.pem")
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, mirror.url, [trusted])
    assert error.value.code == "credentials-missing"
    assert error.value.message.endswith("it answered 403 without")
    assert error.value.context[1:] == (
        "looked in  kernsym.toml (no client_cert or username for it)",
    )
    assert "client_cert" in (error.value.hint or "")
    assert shown == [""]


async def test_an_authority_alone_does_not_keep_the_machines_credentials_back(
    tmp_path: Path, tls: Path
) -> None:
    """A registration server of one's own, with its own authority."""
    file = tmp_path / "etc/zypp/credentials.d/SCCcredentials"
    file.parent.mkdir(parents=True)
    file.write_text(f"username={USER}\npassword={PASSWORD}\n")
    context = server_context(tls, ssl.CERT_NONE)
    with UpstreamServer(tls, tls=context, guard=password_guard) as mirror:
        (tmp_path / "etc/SUSEConnect").write_text(f"url: {mirror.url}\n")
        trusted = Access(prefix=mirror.url, origin=CONFIGURED, authority=tls / "ca.pem")
        assert await ask(tmp_path, mirror.url, [trusted]) == b"content"


def test_an_authority_alone_is_lent_to_a_certificate_without(tmp_path: Path) -> None:
    trusted = Access(prefix="https://m.example/", origin="x", authority=tmp_path / "ca.pem")
    shown = Access(prefix="https://m.example/a", origin="y", certificate=tmp_path / "1.pem")
    ways = Credentials([trusted, shown], tmp_path)
    assert ways.ways("https://m.example/a/b") == (replace(shown, authority=trusted.authority),)
    assert ways.ways("https://m.example/c") == (trusted,)


async def test_an_authority_that_cannot_be_read_is_named(tmp_path: Path, tls: Path) -> None:
    broken = tmp_path / "ca.pem"
    broken.write_text("no certificate")
    way = replace(certificates(tls, "https://127.0.0.1:1", "1")[0], authority=broken)
    with pytest.raises(CouldNotFindOut, match=f": {broken} cannot be used"):
        way.context()


async def test_a_certificate_that_cannot_be_read_does_not_end_the_attempts(
    tmp_path: Path, tls: Path
) -> None:
    broken = tmp_path / "key.pem"
    broken.write_text("-----BEGIN nonsense")
    with tls_mirror(tls, let_in="2") as (mirror, shown):
        bad = replace(certificates(tls, mirror.url, "1")[0], origin="certificate 0", key=broken)
        assert (
            await ask(tmp_path, mirror.url, [bad, *certificates(tls, mirror.url, "2")])
            == b"content"
        )
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, mirror.url, [bad, *certificates(tls, mirror.url, "1")])
    assert shown == ["2", "1"] and error.value.code == "credentials-missing"
    tried = [line for line in error.value.context if line.startswith("tried")]
    assert "certificate 0" in tried[0] and "cannot be used" in tried[0]
    assert tried[1:] == ["tried      certificate 1: refused"]


async def test_a_certificate_that_no_repository_wants(tmp_path: Path, tls: Path) -> None:
    with tls_mirror(tls, let_in="nobody") as (mirror, _), pytest.raises(CouldNotFindOut) as error:
        await ask(tmp_path, mirror.url, certificates(tls, mirror.url, "1", "2"))
    assert "403" in error.value.message
    assert [line for line in error.value.context if line.startswith("tried")] == [
        "tried      certificate 1: refused",
        "tried      certificate 2: refused",
    ]


async def test_a_server_of_another_authority_is_not_trusted(tmp_path: Path, tls: Path) -> None:
    with tls_mirror(tls, let_in="1") as (mirror, shown):
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, mirror.url, [])
        assert (error.value.code, shown) == ("mirror-untrusted", [])


async def test_a_key_that_is_no_key(tmp_path: Path, tls: Path) -> None:
    broken = tmp_path / "key.pem"
    broken.write_text("-----BEGIN nonsense")
    way = Access(prefix="https://127.0.0.1:1/", origin="x", certificate=tls / "1.pem", key=broken)
    with pytest.raises(CouldNotFindOut) as error:
        await ask(tmp_path, "https://127.0.0.1:1", [way])
    assert error.value.code == "credentials-unreadable"


async def test_a_password(tmp_path: Path) -> None:
    write_page(tmp_path)
    with UpstreamServer(tmp_path, guard=password_guard) as mirror:
        way = Access(prefix=mirror.url, origin="x", username=USER, password=PASSWORD)
        assert await ask(tmp_path, mirror.url, [way]) == b"content"
        wrong = Access(prefix=mirror.url, origin="x", username=USER, password="hunter2")
        with pytest.raises(CouldNotFindOut) as error:
            await ask(tmp_path, mirror.url, [wrong])
    said = " ".join(
        (error.value.message, *error.value.context, error.value.hint or "", repr(wrong))
    )
    assert error.value.code == "credentials-missing" and "401" in said
    assert "hunter2" not in said


async def test_a_password_does_not_follow_a_redirect_elsewhere(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=b"content")

    async with serving(elsewhere) as other:

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPFound(f"{other}/moved")

        async with serving(redirect) as url:
            way = Access(prefix=url, origin="x", username="a", password="b")
            assert await ask(tmp_path, url, [way]) == b"content"
    assert seen == [None]


@pytest.mark.parametrize(
    ("url", "fits"),
    [
        ("https://m.example/rhel8/debug/repodata/repomd.xml", True),
        ("https://m.example/rhel8/debug2/x", False),
        ("https://m.example/rhel8/debug/../../x", False),
        ("https://m.example.evil/rhel8/debug/x", False),
        ("https://m.example:8443/rhel8/debug/x", False),
        ("http://m.example/rhel8/debug/x", False),
        ("https://me@m.example/rhel8/debug/x", True),
    ],
)
def test_credentials_go_to_their_source_alone(url: str, fits: bool) -> None:
    assert Access(prefix="https://m.example/rhel8/debug", origin="x").fits(url) is fits


def test_entitlements_of_the_machine(tmp_path: Path) -> None:
    folder, ca = tmp_path / "etc/pki/entitlement", tmp_path / "etc/rhsm/ca/redhat-uep.pem"
    for path in (folder, ca.parent):
        path.mkdir(parents=True)
    ca.touch()
    for name in ("2.pem", "2-key.pem", "10.pem", "10-key.pem", "alone.pem", "lost-key.pem"):
        (folder / name).touch()
    credentials = Credentials(root=tmp_path)
    found = credentials.ways(CDN)
    assert [(way.certificate, way.key, way.authority) for way in found] == [
        (folder / "10.pem", folder / "10-key.pem", ca),
        (folder / "2.pem", folder / "2-key.pem", ca),
    ]
    assert all(way.fits(CDN) for way in found)
    for other in (UPDATES, "https://mirror.example/", CDN.replace("https", "http")):
        assert not [way for way in credentials.ways(other) if way.fits(other)]


def test_the_subscription_of_the_machine(tmp_path: Path) -> None:
    file = tmp_path / "etc/zypp/credentials.d/SCCcredentials"
    file.parent.mkdir(parents=True)
    file.write_text("# SCC\nusername=SCC_abc\npassword = p=w\n")
    (way,) = Credentials(root=tmp_path).ways(UPDATES)
    assert (way.username, way.password, way.fits(UPDATES)) == ("SCC_abc", "p=w", True)
    assert "p=w" not in repr(way)
    assert Credentials(root=tmp_path).ways(CDN) == ()


def test_a_satellite_is_known_from_redhat_repo(tmp_path: Path) -> None:
    files = ("etc/pki/entitlement/7.pem", "etc/pki/entitlement/7-key.pem", "etc/rhsm/ca/sat.pem")
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    repositories = tmp_path / "etc/yum.repos.d/redhat.repo"
    repositories.parent.mkdir()
    section = (
        "baseurl = https://satellite.example/pulp/content/Org/{}/$releasever\nenabled = 0\n"
        "sslclientcert = /etc/pki/entitlement/7.pem\n"
        "sslclientkey = /etc/pki/entitlement/7-key.pem\nsslcacert = /etc/rhsm/ca/sat.pem\n"
    )
    repositories.write_text(f"[a]\n{section.format('a')}\n[b]\n{section.format('b')}\n[c]\n")
    (way,) = Credentials(root=tmp_path).ways("https://satellite.example/pulp/content/x.rpm")
    assert (way.certificate, way.key, way.authority) == tuple(tmp_path / name for name in files)
    assert len(Credentials(root=tmp_path).ways(CDN)) == 1
    assert Credentials(root=tmp_path).ways("https://mirror.example/x") == ()
    repositories.write_bytes(b"no section\n\xff")
    assert Credentials(root=tmp_path).ways("https://satellite.example/x") == ()


def test_a_registration_server_gets_the_subscription(tmp_path: Path) -> None:
    file = tmp_path / "etc/zypp/credentials.d/SCCcredentials"
    file.parent.mkdir(parents=True)
    file.write_text("username=SCC_abc\npassword=pw\n")
    (tmp_path / "etc/SUSEConnect").write_text("---\nurl: https://rmt.example\ninsecure: false\n")
    for url in ("https://rmt.example/repo/SUSE/x", UPDATES):
        assert [way.username for way in Credentials(root=tmp_path).ways(url)] == ["SCC_abc"]
    for url in ("http://rmt.example/repo", "https://other.example/repo"):
        assert Credentials(root=tmp_path).ways(url) == ()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (CDN, ("entitlement certificate", "/etc/pki/entitlement (not there)", "kernsym.toml")),
        (UPDATES, ("SUSE subscription", "SCCcredentials (not there)", "kernsym.toml")),
        ("https://m.example/x?token", ("credentials", "kernsym.toml")),
    ],
)
def test_what_is_missing_and_where_it_was_looked_for(
    tmp_path: Path, url: str, words: tuple[str, ...]
) -> None:
    error = Credentials(root=tmp_path).missing(url, "403", ())
    said = " ".join((error.message, *error.context))
    assert all(word in said for word in words) and "token" not in said
    assert error.hint


async def test_from_the_configuration_to_the_page(tmp_path: Path, tls: Path) -> None:
    with tls_mirror(tls, let_in="1") as (mirror, shown):
        source = {
            "distro": "debian",
            "kind": "rpm-md",
            "url": f"{mirror.url}/repo/",
            "client_cert": str(tls / "1.pem"),
            "client_key": str(tls / "1-key.pem"),
            "ca": str(tls / "ca.pem"),
        }
        config = server_config({"source": [source]}, store=tmp_path)
        assert await ask(tmp_path, mirror.url, config.credentials) == b"content"
        assert shown == ["1"]
