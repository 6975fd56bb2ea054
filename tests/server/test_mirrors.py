"""Several mirrors of one file: the next is asked when one fails or sends something else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import FileRole, Store
from kernsym.cache.messages import Event, Part
from kernsym.distros import (
    CouldNotFindOut,
    Distro,
    Fetch,
    Kernel,
    Package,
    PackageRef,
    Refused,
    Role,
    Source,
)
from tests.server import small_distro as small
from tests.server.test_candidates import ask
from tests.upstream import UpstreamServer

NAME = small.package("near").id
SOURCES = small.package("near", Role.SOURCE)


def distro_of_mirrors(roles: tuple[Role, ...], digest_of: Callable[[Path], str]) -> Distro:
    """Each source lists the packages with the digest that `digest_of` gives of the good copy."""

    def locate(package: Package, kernel: Kernel, source: Source, fetch: Fetch) -> PackageRef | None:
        return PackageRef(
            package=package,
            url=f"{source.url}{package.id}",
            origin=source.place,
            why="a test",
            sha256=digest_of(Path(package.id)),
        )

    return replace(small.distro("near", 1, roles, certain=True), locate=locate)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    folder = tmp_path / "good"
    small.publish_vmlinux(folder, "near", "near.example", 1)
    return folder


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch, good: Path) -> Callable[..., None]:
    def publish(*roles: Role) -> None:
        def digest(name: Path) -> str:
            return hashlib.sha256((good / name).read_bytes()).hexdigest()

        small.register(monkeypatch, distro_of_mirrors(roles, digest))

    return publish


def stages(events: list[Event], stage: str) -> list[str]:
    return [event.text or "" for event in events if event.stage == stage]


def break_off(server: UpstreamServer) -> None:
    server.cut_after = 100


def refuse(server: UpstreamServer) -> None:
    server.status_for = lambda path, hit: 403


def lose(server: UpstreamServer) -> None:
    server.status_for = lambda path, hit: 404


@pytest.mark.parametrize("trouble", [break_off, refuse, lose])
def test_a_mirror_that_fails_is_followed_by_the_next(
    store: Store,
    good: Path,
    register: Callable[..., None],
    trouble: Callable[[UpstreamServer], None],
) -> None:
    register(Role.DEBUGINFO)
    with UpstreamServer(good) as first, UpstreamServer(good) as second:
        trouble(first)
        bundle, events = ask(
            store, small.fingerprint("near.example"), f"{first.url}/", f"{second.url}/"
        )
    assert [ref.url for ref in bundle.packages] == [f"{second.url}/{NAME}"]
    assert len(stages(events, "failed")) == 1 and len(stages(events, "package")) == 2
    assert first.hits[f"/{NAME}"] >= 1 and second.hits[f"/{NAME}"] == 1


def test_a_mirror_that_sends_another_file_is_followed_by_the_next(
    store: Store, tmp_path: Path, good: Path, register: Callable[..., None]
) -> None:
    register(Role.DEBUGINFO)
    small.publish_vmlinux(tmp_path / "bad", "near", "near.example", 1)
    with (tmp_path / "bad" / NAME).open("ab") as file:
        file.write(b"more")
    with UpstreamServer(tmp_path / "bad") as first, UpstreamServer(good) as second:
        bundle, events = ask(
            store, small.fingerprint("near.example"), f"{first.url}/", f"{second.url}/"
        )
    assert [ref.url for ref in bundle.packages] == [f"{second.url}/{NAME}"]
    assert len(stages(events, "refused")) == 1
    vmlinux = bundle.first(FileRole.VMLINUX)
    assert vmlinux is not None and (store.folder(bundle.kernel) / vmlinux.path).is_file()


def test_a_file_that_is_not_the_dumps_is_asked_for_once(
    store: Store, good: Path, register: Callable[..., None]
) -> None:
    register(Role.DEBUGINFO)
    with UpstreamServer(good) as first, UpstreamServer(good) as second:
        with pytest.raises(Refused) as error:
            ask(store, small.fingerprint("other.example"), f"{first.url}/", f"{second.url}/")
        assert error.value.code == "vmlinux-mismatch"
        assert (first.hits[f"/{NAME}"], second.hits[f"/{NAME}"]) == (1, 0)


def test_when_no_mirror_gives_it_nothing_is_known(
    store: Store, good: Path, register: Callable[..., None]
) -> None:
    register(Role.DEBUGINFO)
    with UpstreamServer(good) as first, UpstreamServer(good) as second:
        refuse(first)
        lose(second)
        with pytest.raises(CouldNotFindOut) as error:
            ask(store, small.fingerprint("near.example"), f"{first.url}/", f"{second.url}/")
    assert error.value.code == "credentials-missing"
    text = "\n".join(error.value.context)
    assert f"{first.url[7:]}: " in text and f"{second.url[7:]}: " in text


def test_the_sources_of_a_kernel_come_from_the_next_mirror_too(
    store: Store, good: Path, register: Callable[..., None]
) -> None:
    register(Role.DEBUGINFO, Role.SOURCE)
    path = f"{small.SOURCES_PATH}/init/main.c"
    small.publish(good, "near", b"int main;", role=Role.SOURCE, path=path)
    with UpstreamServer(good) as first, UpstreamServer(good) as second:
        urls = f"{first.url}/", f"{second.url}/"
        ask(store, small.fingerprint("near.example"), *urls)
        refuse(first)
        bundle, events = ask(store, small.fingerprint("near.example"), *urls, part=Part.SOURCES)
    assert bundle.first(FileRole.SOURCE_TREE) is not None
    assert len(stages(events, "failed")) == 1
    assert [ref.url for ref in bundle.packages][1:] == [f"{second.url}/{SOURCES.id}"]
