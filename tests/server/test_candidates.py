"""Which of several kernels or packages it is, only the vmlinux itself tells."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import Bundle, Store
from kernsym.cache.messages import Event, Part, SymbolsRequest
from kernsym.distros import (
    CouldNotFindOut,
    Fetch,
    Fingerprint,
    Kernel,
    KernsymError,
    NotIdentified,
    NotPublished,
    Package,
    PackageRef,
    Refused,
    Role,
    Source,
)
from kernsym.distros.formats import listing
from kernsym.server.bring.packages import Packages
from kernsym.server.config import ServerConfig
from kernsym.server.jobs import JobBoard
from kernsym.server.mirrors.upstream import Upstream
from kernsym.server.symbols import Symbols
from tests.elf_writer import vmlinux
from tests.server import small_distro as small
from tests.server.bringing import QUICK

DEBUGINFO = (Role.DEBUGINFO,)


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two distributions that cannot tell their kernels apart; `near` is the likelier."""
    near = small.distro("near", 1, DEBUGINFO, certain=False)
    small.register(monkeypatch, small.distro("far", 2, DEBUGINFO, certain=False), near)


def ask(
    store: Store,
    fingerprint: Fingerprint,
    *folders: Path | str,
    part: Part = Part.SYMBOLS,
    signature: str = "skip",
    signed_by: tuple[str, ...] = (),
) -> tuple[Bundle, list[Event]]:
    """The bundle for a fingerprint, from packages in folders, and the job's events."""

    async def run() -> tuple[Bundle, list[Event]]:
        sources = tuple(
            Source(
                distro="*",
                kind="directory",
                url=folder if isinstance(folder, str) else f"file://{folder}/",
                signature=signature,
                signed_by=signed_by,
                origin="kernsym.toml",
            )
            for folder in folders
        )
        config = ServerConfig(
            store=store.root, host="127.0.0.1", port=0, sources=sources, builtin_sources=False
        )
        async with Upstream(store.root / "pages", QUICK) as upstream:
            symbols = Symbols(store, JobBoard(), Packages(store, upstream, config))
            request = SymbolsRequest(fingerprint=fingerprint, part=part)
            events = [event async for event in (await symbols.start(request)).follow()]
            if events[-1].problem is not None:
                raise events[-1].problem.as_error()
            bundle = symbols.held(request)
            assert bundle is not None
            return bundle, events

    return asyncio.run(run())


def left_in(store: Store) -> set[str]:
    """The distributions of which anything at all lies in the store."""
    return {path.name for path in (store.root / "kernels").iterdir()}


@pytest.mark.usefixtures("two")
def test_the_candidate_whose_vmlinux_is_the_dumps_is_taken(store: Store, tmp_path: Path) -> None:
    small.publish_vmlinux(tmp_path / "all", "near", "near.example", 1)
    small.publish_vmlinux(tmp_path / "all", "far", "far.example", 2)
    for fingerprint in (small.fingerprint("far.example"), Fingerprint(
        release=small.UNAME, build_id=small.build_id(2)
    )):  # fmt: skip
        with contextlib.suppress(StopIteration):
            store.remove(next(store.bundles()))
        bundle, events = ask(store, fingerprint, tmp_path / "all")
        assert bundle.kernel == replace(small.kernel("far"), build_id=small.build_id(2))
        assert [event.kernel for event in events if event.kernel] == [small.kernel("far")]
        assert left_in(store) == {"far"}, "nothing may be left of the candidate that was refused"


@pytest.mark.usefixtures("two")
def test_when_no_candidate_is_right_the_error_names_each_with_its_answer(
    store: Store, tmp_path: Path
) -> None:
    small.publish_vmlinux(tmp_path / "all", "near", "near.example", 1)
    with pytest.raises(NotPublished) as caught:
        ask(store, small.fingerprint("far.example"), tmp_path / "all")
    text = "\n".join(caught.value.context)
    assert "near/x86_64" in text and "banner differs" in text
    assert "far/x86_64" in text and "no source publishes far-debuginfo" in text


@pytest.mark.usefixtures("two")
def test_candidates_that_are_all_of_other_builds_leave_nothing(
    store: Store, tmp_path: Path
) -> None:
    small.publish_vmlinux(tmp_path / "all", "near", "near.example", 1)
    small.publish_vmlinux(tmp_path / "all", "far", "far.example", 2)
    with pytest.raises(Refused) as caught:
        ask(store, small.fingerprint("third.example"), tmp_path / "all")
    assert caught.value.code == "vmlinux-mismatch"
    assert not left_in(store) and not list((store.root / ".build-id").glob("*/*"))


@pytest.mark.usefixtures("two")
def test_a_candidate_is_never_accepted_by_its_release_alone(store: Store, tmp_path: Path) -> None:
    """Neither where the dump shows no more, nor where the vmlinux has no build ID to compare."""
    version = small.banner("x").partition(") #")[2]
    by_name = Fingerprint(release=small.UNAME, version=f"#{version}")
    small.publish(tmp_path / "all", "near", vmlinux(small.banner("near.example"), None))
    with pytest.raises(NotIdentified) as caught:
        ask(store, by_name, tmp_path / "all")
    assert caught.value.code == "ambiguous"
    with pytest.raises(KernsymError):
        ask(store, replace(by_name, build_id=small.build_id(1)), tmp_path / "all")
    assert not left_in(store)


def test_a_wrong_twin_is_refused_and_the_right_package_found(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same name and version at two sources, of which the first is another vendor's build."""
    small.register(monkeypatch, small.distro("near", 1, DEBUGINFO, certain=True))
    small.publish_vmlinux(tmp_path / "twin", "near", "clone.example", 1)
    small.publish_vmlinux(tmp_path / "right", "near", "near.example", 2)
    wanted = small.fingerprint("near.example", 2)
    bundle, events = ask(store, wanted, tmp_path / "twin", tmp_path / "right")
    assert bundle.verification.by == ("banner", "build-id")
    assert [ref.url for ref in bundle.packages] == [
        f"file://{tmp_path}/right/{small.package('near').id}"
    ]
    assert [event.text for event in events if event.stage == "refused"]
    assert not list(store.root.glob(f".build-id/*/*{small.build_id(1)[2:]}.debug"))

    store.remove(bundle)
    with pytest.raises(Refused) as caught:
        ask(store, wanted, tmp_path / "twin")
    assert caught.value.code == "vmlinux-mismatch" and not left_in(store)


def test_a_source_with_several_that_fit_offers_them_in_order(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locate_all(
        package: Package, kernel: Kernel, source: Source, fetch: Fetch
    ) -> tuple[PackageRef, ...]:
        rebuilds = [replace(package, id=f"{package.name}_{n}_amd64.deb") for n in (3, 2, 1)]
        found = [listing.locate(rebuild, source, fetch) for rebuild in rebuilds]
        return tuple(ref for ref in found if ref)

    distro = small.distro("near", 1, DEBUGINFO, certain=True)
    small.register(monkeypatch, replace(distro, locate_all=locate_all))
    for number in (1, 2, 3):
        small.publish_vmlinux(tmp_path, "near", f"build{number}.example", number)
        (tmp_path / small.package("near").id).rename(
            tmp_path / f"near-debuginfo_{number}_amd64.deb"
        )
    bundle, events = ask(store, small.fingerprint("build2.example"), tmp_path)
    assert [ref.package.id for ref in bundle.packages] == ["near-debuginfo_2_amd64.deb"]
    assert len([event for event in events if event.stage == "package"]) == 2


def test_what_is_of_the_same_build_comes_first(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sources, of which the newest are of a later rebuild than the symbols."""
    roles = (Role.DEBUGINFO, Role.DEBUGINFO_COMMON)

    def locate_all(
        package: Package, kernel: Kernel, source: Source, fetch: Fetch
    ) -> tuple[PackageRef, ...]:
        rebuilds = [
            replace(package, id=f"{package.name}_{n}_amd64.deb", version=str(n)) for n in (2, 1)
        ]
        found = [listing.locate(rebuild, source, fetch) for rebuild in rebuilds]
        return tuple(ref for ref in found if ref)

    near = small.distro("near", 1, roles, certain=True)
    small.register(monkeypatch, replace(near, locate_all=locate_all))
    for number in (1, 2):
        content = {
            Role.DEBUGINFO: (small.DEBUG_PATH, vmlinux(small.banner(f"b{number}.example"), None)),
            Role.DEBUGINFO_COMMON: (f"{small.SOURCES_PATH}/kernel/panic.c", b"%d" % number),
        }
        for role, (path, data) in content.items():
            small.publish(tmp_path, "near", data, role, path)
            whole = small.package("near", role)
            (tmp_path / whole.id).rename(tmp_path / f"{whole.name}_{number}_amd64.deb")
    wanted = small.fingerprint("b1.example")
    ask(store, wanted, tmp_path)
    bundle, _ = ask(store, wanted, tmp_path, part=Part.SOURCES)
    assert [ref.package.version for ref in bundle.packages] == ["1", "1"]


@pytest.mark.usefixtures("two")
def test_a_candidate_that_could_not_be_asked_for_leaves_it_open(
    store: Store, tmp_path: Path
) -> None:
    small.publish_vmlinux(tmp_path / "all", "far", "far.example", 2)
    with pytest.raises(CouldNotFindOut):
        ask(store, small.fingerprint("x.example"), tmp_path / "all", "http://127.0.0.1:1/")
