"""The distributions' door to the world: from a thread, and as signed as the source demands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from pysequoia import SignatureMode, Tsk, sign

from kernsym.distros import CouldNotFindOut, Page, Refused, Source
from kernsym.server.mirrors.thread_fetch import ThreadFetch, unwrap
from kernsym.server.mirrors.upstream import Upstream
from tests.upstream import UpstreamServer

TEXT = b"Suite: bookworm\n- a line that begins with a dash\n"

_Answer = TypeVar("_Answer")


@pytest.fixture(scope="module")
def key() -> Tsk:
    return Tsk.generate(user_id="archive@example.org")


@pytest.fixture
def mirror(tmp_path: Path, key: Tsk) -> Iterator[UpstreamServer]:
    root = tmp_path / "mirror"
    root.mkdir()
    signer = key.signer()
    (root / "InRelease").write_bytes(sign(signer, TEXT, mode=SignatureMode.CLEAR))
    (root / "Release").write_bytes(TEXT)
    (root / "Release.gpg").write_bytes(sign(signer, TEXT, mode=SignatureMode.DETACHED))
    (root / "Release.other").write_bytes(sign(signer, b"other", mode=SignatureMode.DETACHED))
    with UpstreamServer(root) as server:
        yield server


def source(key: Tsk, signature: str = "require") -> Source:
    return Source(
        distro="debian",
        kind="apt",
        url="",
        signed_by=(str(key.extract_certificate()),),
        signature=signature,
    )


def ask(tmp_path: Path, question: Callable[[ThreadFetch], _Answer]) -> _Answer:
    async def run() -> _Answer:
        async with Upstream(tmp_path / "pages") as upstream:
            return await asyncio.to_thread(question, ThreadFetch(upstream))

    return asyncio.run(run())


def test_page(mirror: UpstreamServer, tmp_path: Path) -> None:
    url = f"{mirror.url}/Release"
    assert ask(tmp_path, lambda fetch: fetch.page(url)) == Page(url=url, body=TEXT)
    assert ask(tmp_path, lambda fetch: fetch.page(f"{url}.none")) is None


@pytest.mark.parametrize("signature", ["require", "if-present", "skip"])
def test_clear_signed(mirror: UpstreamServer, tmp_path: Path, key: Tsk, signature: str) -> None:
    url = f"{mirror.url}/InRelease"
    page = ask(tmp_path, lambda fetch: fetch.signed(url, source(key, signature)))
    assert page is not None and page.body == TEXT
    assert page.signed_by == (
        None if signature == "skip" else key.extract_certificate().fingerprint.upper()
    )


@pytest.mark.parametrize("signature", ["require", "if-present", "skip"])
def test_detached(mirror: UpstreamServer, tmp_path: Path, key: Tsk, signature: str) -> None:
    url = f"{mirror.url}/Release"
    page = ask(
        tmp_path, lambda fetch: fetch.signed(url, source(key, signature), detached=f"{url}.gpg")
    )
    assert page is not None and page.body == TEXT
    assert page.signed_by == (
        None if signature == "skip" else key.extract_certificate().fingerprint.upper()
    )


@pytest.mark.parametrize("signature", ["require", "if-present"])
def test_a_wrong_signature_is_refused_even_where_none_is_demanded(
    mirror: UpstreamServer, tmp_path: Path, key: Tsk, signature: str
) -> None:
    url = f"{mirror.url}/Release"
    stranger = Tsk.generate(user_id="stranger@example.org")
    with pytest.raises(Refused):
        ask(tmp_path, lambda f: f.signed(url, source(key, signature), detached=f"{url}.other"))
    with pytest.raises(Refused):
        ask(tmp_path, lambda f: f.signed(f"{mirror.url}/InRelease", source(stranger, signature)))


@pytest.mark.parametrize("detached", ["", "/none"])
def test_no_signature(mirror: UpstreamServer, tmp_path: Path, key: Tsk, detached: str) -> None:
    url = f"{mirror.url}/Release"
    where = mirror.url + detached if detached else None
    with pytest.raises(Refused) as refused:
        ask(tmp_path, lambda fetch: fetch.signed(url, source(key), detached=where))
    assert refused.value.code == "signature-missing"
    for signature in ("if-present", "skip"):
        tolerant = source(key, signature)
        page = ask(tmp_path, lambda f: f.signed(url, tolerant, detached=where))  # noqa: B023
        assert page == Page(url=url, body=TEXT)


def test_no_index_at_all(mirror: UpstreamServer, tmp_path: Path, key: Tsk) -> None:
    url = f"{mirror.url}/none"
    assert ask(tmp_path, lambda fetch: fetch.signed(url, source(key))) is None
    assert ask(tmp_path, lambda fetch: fetch.signed(url, source(key), detached=url)) is None


def test_what_could_not_be_asked_comes_out_of_the_thread(
    mirror: UpstreamServer, tmp_path: Path
) -> None:
    mirror.status_for = lambda path, hit: 403
    with pytest.raises(CouldNotFindOut, match="wants credentials"):
        ask(tmp_path, lambda fetch: fetch.page(f"{mirror.url}/Release"))


def test_unwrap_leaves_other_text_alone() -> None:
    assert unwrap(TEXT) == TEXT
