"""Every row of every table: identified by exactly one distribution, with exactly its packages."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kernsym.distros import Fingerprint, catalog, identify
from kernsym.distros.core.catalog import gather

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TABLES = {
    path.stem: tomllib.loads(path.read_text())
    for path in sorted((Path(__file__).parent / "tables").glob("*.toml"))
}
# A row may name its `distro`, where a table is of several.
KERNELS = [
    (row.get("distro", name.replace("_", "-")), row)
    for name, table in TABLES.items()
    for row in table["kernel"]
]
OTHERS = [row for table in TABLES.values() for row in table.get("other", ())]


def fingerprint(row: dict[str, Any]) -> Fingerprint:
    return Fingerprint(
        banner=row.get("banner"),
        release=row.get("release_field"),
        version=row.get("version_field"),
        arch=row.get("arch_field"),
    )


def words(value: object) -> str | None:
    if not isinstance(value, dict):
        return None
    text: str = value.get("release_field") or value["banner"]
    return text.strip()[:60]


def test_every_distribution_has_rows() -> None:
    assert {name for name, _ in KERNELS} == set(catalog())


@pytest.mark.parametrize(("name", "row"), KERNELS, ids=words)
def test_a_kernel_is_identified(name: str, row: dict[str, Any]) -> None:
    verdict = identify(fingerprint(row))
    kernel = verdict.kernel
    assert kernel is not None, verdict.reason
    assert verdict.candidates == (name,)
    assert verdict.evidence
    found = (kernel.distro, kernel.release, kernel.arch, kernel.flavour, kernel.version)
    assert found == (name, row["release"], row.get("arch"), row["flavour"], row["version"])
    assert [package.id for package in catalog()[name].packages(kernel)] == row["packages"]


@pytest.mark.parametrize(("name", "row"), KERNELS, ids=words)
def test_no_other_distribution_is_certain_of_it(name: str, row: dict[str, Any]) -> None:
    evidence = gather(fingerprint(row))
    assert evidence is not None
    distros = dict.fromkeys(catalog().values())
    claims = {distro.name: distro.recognise(evidence) for distro in distros}
    certain = [other for other, claim in claims.items() if claim and claim.kernel]
    assert certain == [catalog()[name].name]


@pytest.mark.parametrize("row", OTHERS, ids=words)
def test_what_is_not_published_is_never_mapped(row: dict[str, Any]) -> None:
    verdict = identify(fingerprint(row))
    assert verdict.kernel is None
    assert verdict.outcome.value == row["verdict"]
    assert row["word"] in verdict.reason
    if "candidates" in row:
        assert list(verdict.candidates) == row["candidates"]
        assert [kernel.distro for kernel in verdict.possible] == row["candidates"]
