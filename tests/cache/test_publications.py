"""What a source lists over time: new, seen again, gone, back; and lists that are not believed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernsym.cache.publications import Publications, SourceRecord, merged
from kernsym.distros import CouldNotFindOut, Kernel, Package, PackageRef, Role

EMPTY = SourceRecord(source="apt http://m.example", place="m.example", series="debian:12:x86_64")
Listed = list[tuple[Kernel, PackageRef]]


def listed(*numbers: int) -> Listed:
    found = []
    for number in numbers:
        kernel = Kernel(
            distro="debian",
            release="12",
            arch="x86_64",
            uname=f"6.1.0-{number}-amd64",
            flavour="amd64",
            version=f"6.1.{number}-1",
        )
        package = Package(role=Role.DEBUGINFO, id=f"p{number}", name="p", version="", arch="")
        found.append((kernel, PackageRef(package=package, url="http://m", origin="", why="")))
    return found


def times(record: SourceRecord) -> dict[str, tuple[int, int, int | None]]:
    return {
        each.package: (each.first_seen, each.last_seen, each.gone) for each in record.publications
    }


def test_a_package_comes_stays_goes_and_comes_back() -> None:
    record = merged(EMPTY, listed(1, 2), 100)
    record = merged(record, listed(2, 3), 200)
    assert times(record) == {"p1": (100, 100, 200), "p2": (100, 200, None), "p3": (200, 200, None)}
    record = merged(record, listed(2, 3), 300)
    assert times(record)["p1"] == (100, 100, 200)
    record = merged(record, listed(1, 2, 3), 400)
    assert times(record)["p1"] == (100, 400, None)


@pytest.mark.parametrize(
    ("before", "now", "floor", "shrink", "believed"),
    [
        (0, 0, 0, False, True),
        (1, 0, 0, False, False),
        (3, 1, 0, False, False),
        (3, 2, 0, False, True),
        (10, 5, 0, False, True),
        (10, 4, 0, False, False),
        (10, 0, 0, True, True),
        (10, 9, 10, False, False),
        (10, 9, 10, True, False),
        (0, 9, 10, False, False),
        (0, 10, 10, False, True),
    ],
)
def test_a_list_that_shrinks_is_no_update(
    before: int, now: int, floor: int, shrink: bool, believed: bool
) -> None:
    record = merged(EMPTY, listed(*range(before)), 100)
    try:
        after = merged(record, listed(*range(now)), 200, floor=floor, shrink=shrink)
    except CouldNotFindOut as error:
        assert error.code == "catalog-shrunk" and not believed
    else:
        assert believed and len(after.present) == now


def test_records_are_kept_and_a_broken_one_is_passed_over(tmp_path: Path) -> None:
    publications = Publications(tmp_path / "catalog", tmp_path / "lock")
    publications.update(EMPTY, listed(1), 100)
    publications.update(EMPTY, listed(1, 2), 200)
    (tmp_path / "catalog/broken.json").write_text("{")
    (record,) = publications.records()
    assert len(record.publications) == 2 and record.asked == 200
    kernel = listed(1)[0][0]
    assert publications.history(kernel) == (
        "published by m.example, seen from 1970-01-01 to 1970-01-01",
    )
