"""What a store gives up first, and what it never gives up: tables, then a real store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from kernsym.cache import FileRole, Store, Unchecked
from kernsym.cache.upkeep import Limits, collect, parse_age, parse_size, read_limits
from kernsym.cache.upkeep.eviction import Candidate, Room, Step, in_order, too_old
from kernsym.distros import Unusable
from tests.cache.kernels import BLOCK, DAY, publish, used_before

NOW = 1_000 * DAY


def candidate(
    name: str, step: Step, *, days: float = 1, size: int = 100, again: int = 10
) -> Candidate:
    return Candidate(step=step, key=name, size=size, again=again, last_use=NOW - days * DAY)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (candidate("a", Step.PREPARED), candidate("b", Step.PACKAGES, days=900)),
        (candidate("a", Step.PACKAGES), candidate("b", Step.SOURCES, days=900)),
        (candidate("a", Step.SOURCES), candidate("b", Step.KERNEL, days=900)),
        (candidate("a", Step.KERNEL, days=3), candidate("b", Step.KERNEL, days=2)),
        (candidate("a", Step.KERNEL, again=10), candidate("b", Step.KERNEL, again=90)),
        (candidate("a", Step.KERNEL, size=900), candidate("b", Step.KERNEL, size=100)),
    ],
    ids=["prepared", "packages", "sources", "long unused", "cheap to get", "large"],
)
def test_the_cheapest_to_lose_goes_first(first: Candidate, second: Candidate) -> None:
    assert in_order([second, first], NOW) == [first, second]


@pytest.mark.parametrize(
    ("limits", "room", "lacking"),
    [
        (Limits(), Room(used=10**12, free=0), 0),
        (Limits(max_size=100), Room(used=100, free=0), 0),
        (Limits(max_size=100), Room(used=130, free=0), 30),
        (Limits(max_size=100), Room(used=90, free=0, wanted=30), 20),
        (Limits(min_free=50), Room(used=10, free=60), 0),
        (Limits(min_free=50), Room(used=10, free=60, wanted=30), 20),
        (Limits(max_size=100, min_free=50), Room(used=130, free=10), 40),
    ],
)
def test_what_is_lacking(limits: Limits, room: Room, lacking: int) -> None:
    found, why = room.lacking(limits)
    assert found == lacking and bool(why) == bool(lacking)


def test_only_kernels_grow_too_old() -> None:
    old, young = candidate("old", Step.KERNEL, days=91), candidate("new", Step.KERNEL, days=89)
    sources = candidate("old", Step.SOURCES, days=91)
    found = dict(too_old([old, young, sources], Limits(max_age=90 * DAY), NOW))
    assert list(found) == [old] and "91 days" in found[old]


@pytest.mark.parametrize("text", ["", "many", "10 X", "-1G", "1i", "G"])
def test_a_size_that_is_none(text: str) -> None:
    with pytest.raises(Unusable):
        parse_size(text)


def test_limits_as_the_configuration_has_them() -> None:
    assert read_limits({"store": "/srv/kernsym"}) == Limits()
    table = {"path": "/srv", "max_size": "2G", "min_free": 1000, "max_age": "2w"}
    assert read_limits({"store": table}) == Limits(
        max_size=2 * 10**9, min_free=1000, max_age=14 * DAY
    )
    assert parse_age("36h") == 1.5 * DAY
    for wrong in ({"max_sise": "1G"}, {"max_size": "1 parsec"}, {"max_age": "soon"}):
        with pytest.raises(Unusable) as caught:
            read_limits({"store": wrong})
        assert caught.value.code == "config-broken"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(tmp_path / "store")) as store:
        yield store


def keys(store: Store) -> list[str]:
    return [bundle.kernel.version for bundle in store.bundles()]


def test_packages_go_before_sources_before_kernels(store: Store) -> None:
    old, new = publish(store, 1), publish(store, 2)
    used_before(store, old, 5)
    used_before(store, new, 1)
    before = collect(store, Limits(max_size=10**9), plan=True).used
    steps = []
    for gone in range(1, 6):
        limits = Limits(max_size=before - gone * BLOCK + BLOCK // 2)
        planned = collect(store, limits, plan=True)
        done = collect(store, limits)
        assert [(one.kernel, one.what) for one in planned.removed] == [
            (one.kernel, one.what) for one in done.removed
        ]
        assert done.used - done.freed <= (limits.max_size or 0) and not done.lacking
        steps += [(one.kernel[-1], one.what) for one in done.removed]
    assert steps == [
        ("1", "packages"),
        ("2", "packages"),
        ("1", "sources"),
        ("2", "sources"),
        ("1", "kernel"),
    ]
    (left,) = store.bundles()
    assert left.first(FileRole.SOURCE_TREE) is None and left.first(FileRole.VMLINUX) is not None
    assert not (store.folder(left.kernel) / "root/src").exists()
    assert not list((store.root / "removed").iterdir())
    held = store.find_build_id(f"{2:040x}")
    assert held is not None and held.path.exists() and store.find_build_id(f"{1:040x}") is None


def test_what_is_pinned_used_or_gone_stays(store: Store) -> None:
    pinned, used, gone, cheap = (publish(store, number) for number in range(1, 5))
    store.marks.pin(pinned.kernel.key, "the case of Monday")
    store.marks.say_gone(gone.kernel.key, "no source has it")
    with store.uses.using(used.kernel.key):
        done = collect(store, Limits(max_size=0))
        assert keys(store) == ["6.1.7-1", "6.1.7-2", "6.1.7-3"]
        why = {kept.kernel[-1]: kept.why for kept in done.kept}
        assert why["1"] == "pinned: the case of Monday" and why["2"] == "in use"
        assert why["3"] == "nobody publishes it any more: no source has it"
        assert done.lacking > 0
    store.uses.let_go()
    collect(store, Limits(max_size=0))
    assert keys(store) == ["6.1.7-1", "6.1.7-3"]
    collect(store, Limits(max_size=0), unpublished=True)
    assert keys(store) == ["6.1.7-1"]
    with pytest.raises(Unusable, match="the case of Monday"):
        store.remove(pinned)
    assert store.marks.unpin(pinned.kernel.key)
    collect(store, Limits(max_size=0))
    assert keys(store) == [] and cheap.kernel.key not in keys(store)


def test_parts_of_packages_stay_until_they_are_checked(store: Store) -> None:
    """Without them nothing would tell that the files are right."""
    held = publish(store, 1)
    package = held.packages[0].package.id
    mark = Unchecked(package=package, paths=(held.files[0].path,), came=1, size=2)
    store.publish(replace(held, unchecked=(mark,)))
    store.uses.let_go()
    limits = Limits(max_size=collect(store, Limits(max_size=10**9), plan=True).used - 1)
    done = collect(store, limits, plan=True)
    assert [one.what for one in done.removed] == ["sources"]
    store.mark_checked(held.kernel, package)
    done = collect(store, limits, plan=True)
    assert [one.what for one in done.removed] == ["packages"]


def test_what_somebody_works_on_stays(store: Store) -> None:
    held = publish(store, 1)
    for part in ("symbols", "sources"):
        with store.lock(held.kernel, part):
            done = collect(store, Limits(max_size=0))
            assert not done.removed and {kept.why for kept in done.kept} == {"in use"}
    assert collect(store, Limits(max_size=0)).removed


def test_age_takes_whole_kernels(store: Store) -> None:
    old, new = publish(store, 1), publish(store, 2)
    used_before(store, old, 100)
    used_before(store, new, 10)
    done = collect(store, Limits(max_age=90 * DAY))
    assert [one.why for one in done.removed] == ["not used for 100 days, 90 days are allowed"]
    assert keys(store) == ["6.1.7-2"]


def test_a_kernel_of_a_folder_that_no_longer_has_it_stays(store: Store, tmp_path: Path) -> None:
    from dataclasses import replace

    held = publish(store, 1)
    lying = tmp_path / "a.deb"
    lying.write_text("here")
    ref = replace(held.packages[0], url=f"file://{lying}")
    store.publish(replace(held, packages=(ref,)))
    store.uses.let_go()
    lying.unlink()
    done = collect(store, Limits(max_size=0))
    assert not done.removed
    assert {kept.why for kept in done.kept} == {"it cannot be fetched again"}
    lying.write_text("again")
    assert collect(store, Limits(max_size=0)).removed
