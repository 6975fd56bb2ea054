"""`kernsym catalog` on a repository over HTTP that gains and loses kernels."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Kernsym
from tests.distros.recorded import release
from tests.upstream import UpstreamServer

GONE = "linux-image-6.1.0-9-amd64-dbg_6.1.9-1_amd64.deb"


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[UpstreamServer]:
    (tmp_path / "archive").mkdir()
    with UpstreamServer(tmp_path / "archive") as server:
        yield server


@pytest.fixture
def watching(tmp_path: Path, archive: UpstreamServer) -> Kernsym:
    config = tmp_path / "kernsym.toml"
    config.write_text(f"""
[builtin]
sources = false
[[source]]
distro = "debian"
kind = "apt"
url = "{archive.url}"
suite = "bookworm"
signature = "skip"
floor = 2
""")
    environment = {"KERNSYM_STORE": str(tmp_path / "store"), "KERNSYM_CONFIG": str(config)}
    return Kernsym(home=tmp_path, environment={"HOME": str(tmp_path), **environment})


def publish(root: Path, *numbers: int) -> None:
    """A suite with the debug packages of so many kernels, one of another release among them."""
    names = [(f"linux-image-6.1.0-{number}-amd64-dbg", f"6.1.{number}-1") for number in numbers]
    names.append(("linux-image-5.10.0-8-amd64-dbg", "5.10.46-4"))
    text = "".join(
        f"Package: {name}\nVersion: {version}\nArchitecture: amd64\n"
        f"Filename: pool/{name}_{version}_amd64.deb\nSize: 7\nSHA256: {'ab' * 32}\n\n"
        for name, version in names
    )
    suite = root / "dists/bookworm"
    path = "main/binary-amd64/Packages.xz"
    packed = lzma.compress(text.encode())
    (suite / path).parent.mkdir(parents=True, exist_ok=True)
    (suite / path).write_bytes(packed)
    (suite / "Release").write_bytes(release({path: packed}, by_hash=False))


def test_what_goes_is_told_and_a_sudden_end_is_not_believed(
    watching: Kernsym, archive: UpstreamServer
) -> None:
    assert "error[nothing-watched]" in watching("catalog", "update", status=2).stderr
    publish(archive.root, 9, 10, 11, 12)
    first = watching("catalog", "update", "debian:bookworm").stdout
    assert "4 kernels, 4 new, 0 gone" in first and "5.10" not in first
    assert watching("catalog", "diff").stdout == ""

    publish(archive.root, 10, 11, 12, 13)
    second = watching("catalog", "update").stdout
    assert "4 kernels, 1 new, 1 gone" in second and f"- {GONE}" in second
    diff = watching("catalog", "diff", "--since", "7d", "--exit-code", status=4)
    assert sorted(re.findall(r"(?m)^([+-]) \S*6\.1\.0-(\d+)", diff.stdout)) == [
        ("+", "13"),
        ("-", "9"),
    ]

    publish(archive.root, 13)
    shrunk = watching("catalog", "update", status=5)
    assert "error[catalog-shrunk]" in shrunk.stderr
    still = watching("catalog", "update", "--accept-shrink", status=5).stderr
    assert "less than 2 is not believed" in still
    found = watching("catalog", "search", "--json", "6.1.0-1").stdout.splitlines()
    assert [json.loads(line)["publication"]["gone"] for line in found] == [None] * 4


def test_a_miss_says_what_is_known_of_before(watching: Kernsym, archive: UpstreamServer) -> None:
    publish(archive.root, 9, 10, 11)
    watching("catalog", "update", "debian:bookworm")
    publish(archive.root, 10, 11)
    watching("catalog", "update")
    missed = watching("fetch", GONE, status=4)
    assert re.search(r"published by \S+ bookworm from 20\S+ to 20\S+, gone since", missed.stderr)
    assert "published by" in watching("identify", GONE).stdout


def test_a_dead_mirror_changes_nothing(watching: Kernsym, archive: UpstreamServer) -> None:
    publish(archive.root, 9, 10)
    watching("catalog", "update", "debian:12")
    archive.status_for = lambda path, hit: 503
    watching("catalog", "update", status=5)
    assert GONE in watching("catalog", "search", "6.1.0-9").stdout
    assert "error[not-in-catalog]" in watching("catalog", "search", "nothing", status=4).stderr
    refused = watching("catalog", "update", "debian:nonesuch", status=2)
    assert "error[no-such-series]" in refused.stderr
