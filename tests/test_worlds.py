"""Other distributions from the dump to crash's prompt: real kernels under their names, packages
and repositories of their shape behind their vendors' locks, the real crash."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from kernsym.client.dumps import read_facts
from tests.foreign_worlds import (
    RHEL8,
    ROCKY8,
    SLES15,
    UBUNTU2204,
    UBUNTU2404,
    Published,
    World,
    command,
    published,
)
from tests.story import COMMANDS, assert_everything_is_there
from tests.test_sharing import shared_server

WORLDS = (RHEL8, SLES15, UBUNTU2204, UBUNTU2404)
# What passes leave of the debug packages: of xz in one block, and of zstd in one frame.
FORMS = {"rhel8": "repack", "sles15": "index", "ubuntu2204": "index", "ubuntu2404": "index"}
REBUILD = ".999.3."  # of SLES's kernel, not the dump's


@pytest.fixture
def vendor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Published]:
    """The mirror of the world that the test is parametrized with."""
    named: World = request.param
    with published(named, tmp_path / "credentials") as mirror:
        yield mirror


def on(*worlds: World) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "vendor", worlds, indirect=True, ids=[one.name for one in worlds]
    )


@on(*WORLDS)
def test_crash_opens_the_dump_with_everything(vendor: Published, tmp_path: Path) -> None:
    kernsym = vendor.command(tmp_path / "home")
    first = kernsym("crash", vendor.world.vmcore, text=COMMANDS)
    assert_everything_is_there(first.stdout)
    assert f" · {vendor.world.title} · " in first.stderr
    assert "4 loaded, 4 with symbols" in first.stderr
    assert "verified: banner and build ID equal the dump's" in first.stderr
    hits = {path: vendor.server.hits[path] for path in vendor.world.packages()}
    assert {times for path, times in hits.items() if REBUILD not in path} == {1}
    assert max(hits.values()) == 1
    assert first.stderr.count("signed by") == sum(hits.values())

    asked = vendor.server.hits.copy()
    kernsym("fetch", "--sources", vendor.world.vmcore)
    assert vendor.server.hits == asked, "a second run must not touch the network"

    (bundle,) = (json.loads(line) for line in kernsym("ls", "--json").stdout.splitlines())
    shown = kernsym("show", bundle["kernel"]["uname"]).stdout
    assert re.search(rf"(?m)^held as +package [^,]+, {FORMS[vendor.world.name]} ", shown), shown


@on(RHEL8)
def test_without_a_certificate_it_is_said_what_is_missing(
    vendor: Published, tmp_path: Path
) -> None:
    kernsym = vendor.command(tmp_path / "home", access=vendor.trust)
    done = kernsym("fetch", vendor.world.vmcore, status=5)
    assert "error[credentials-missing]" in done.stderr and "403" in done.stderr
    assert re.search(r"looked in +.*kernsym\.toml \(no client_cert", done.stderr)
    assert "client_cert" in done.stderr[done.stderr.index("hint:") :]
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))


def test_packages_vouch_for_themselves_where_the_index_is_not_signed(tmp_path: Path) -> None:
    """As Red Hat's CDN has it."""
    repository = tmp_path / "repo"
    unsigned = shutil.ignore_patterns("*.asc")
    shutil.copytree(RHEL8.root / RHEL8.places[0], repository, ignore=unsigned)
    source = (
        f'[[source]]\ndistro = "rhel"\nkind = "rpm-md"\nurl = "file://{repository}/"\n'
        f'signature = "if-present"\nsigned_by = ["{RHEL8.key}"]\n'
    )
    done = command(tmp_path / "home", source)("fetch", "--sources", RHEL8.vmcore)
    assert (
        len(re.findall(r"(?m)^signature +kernel-debuginfo-.* is itself signed by", done.stderr))
        == 2
    )


@on(SLES15)
def test_without_a_subscription_it_is_said_what_is_missing(
    vendor: Published, tmp_path: Path
) -> None:
    kernsym = vendor.command(tmp_path / "home", access=vendor.trust)
    done = kernsym("fetch", vendor.world.vmcore, status=5)
    assert "error[credentials-missing]" in done.stderr and "401" in done.stderr
    assert re.search(r"looked in +.*kernsym\.toml \(.*username", done.stderr)
    assert "password_file" in done.stderr[done.stderr.index("hint:") :]


@on(RHEL8)
def test_a_mirror_that_fails_and_hangs_up_behind_its_lock(
    vendor: Published, tmp_path: Path
) -> None:
    vendor.server.status_for = lambda path, hit: 503 if hit == 1 else None
    vendor.server.cut_after = 2_000_000
    kernsym = vendor.command(tmp_path / "home")
    assert "verified" in kernsym("fetch", RHEL8.vmcore).stderr
    (debuginfo,) = (path for path in RHEL8.packages() if "kernel-debuginfo-4" in path)
    size = (RHEL8.root / debuginfo.lstrip("/")).stat().st_size
    assert vendor.server.hits[debuginfo] >= 3, "refused, a piece, the rest"
    assert size < vendor.server.bytes_sent < 1.5 * size


@on(UBUNTU2404)
def test_an_index_that_is_held_is_only_confirmed(vendor: Published, tmp_path: Path) -> None:
    kernsym = vendor.command(tmp_path / "home")
    kernsym("fetch", UBUNTU2404.vmcore)
    kernsym("rm", "6.8.0-999-generic")
    an_hour_ago = time.time() - 3600
    for page in (kernsym.store / "pages").iterdir():
        os.utime(page, (an_hour_ago, an_hour_ago))
    before, asked = vendor.server.bytes_sent, vendor.server.hits.total()
    kernsym("fetch", UBUNTU2404.vmcore)
    ddeb = next((UBUNTU2404.root / "ddebs").rglob("*.ddeb"))
    assert vendor.server.bytes_sent - before == ddeb.stat().st_size
    assert vendor.server.hits.total() - asked == 2, "InRelease and the package"


@on(RHEL8)
def test_a_package_of_the_same_name_is_refused_and_the_right_one_found(
    vendor: Published, tmp_path: Path
) -> None:
    kernsym = vendor.command(tmp_path / "home", ROCKY8, *RHEL8.places)
    done = kernsym("crash", vendor.world.vmcore, text=COMMANDS)
    assert_everything_is_there(done.stdout)
    refused = rf"refused +kernel-debuginfo-\S+ of \S+{ROCKY8}: .*banner and build-id differ"
    assert re.search(refused, done.stderr)
    assert "4 loaded, 4 with symbols" in done.stderr
    debuginfo = {path: hits for path, hits in vendor.server.hits.items() if "debuginfo-4" in path}
    assert len(debuginfo) == 2 and set(debuginfo.values()) == {1}


@on(RHEL8)
def test_a_package_of_the_same_name_alone_is_refused(vendor: Published, tmp_path: Path) -> None:
    kernsym = vendor.command(tmp_path / "home", ROCKY8)
    done = kernsym("fetch", vendor.world.vmcore, status=6)
    assert "error[vmlinux-mismatch]" in done.stderr
    assert re.search(r"dump +banner .*eng\.bos\.redhat\.com", done.stderr)
    assert re.search(r"vmlinux +banner .*bld\.equ\.rockylinux\.org", done.stderr)
    assert not list(kernsym.store.glob("kernels/*/*/*/*/manifest.json"))
    assert not list(kernsym.store.glob(".build-id/*/*"))


def test_a_rebuild_with_the_same_banner_alone_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rebuild"
    folder.mkdir()
    for path in SLES15.packages():
        if REBUILD in path:
            shutil.copy(SLES15.root / path.lstrip("/"), folder)
    source = f'[[source]]\ndistro = "sles"\nkind = "directory"\nurl = "file://{folder}/"\n'
    kernsym = command(tmp_path / "home", f'{source}signature = "skip"\n')
    done = kernsym("fetch", SLES15.vmcore, status=6)
    assert "error[vmlinux-mismatch]" in done.stderr and "build-id differs" in done.stderr
    shown = dict(re.findall(r"(dump|vmlinux) +banner (.*)", done.stderr))
    assert shown["dump"] == shown["vmlinux"]


@on(SLES15)
def test_a_pair_and_its_sources_come_from_a_shared_server(
    vendor: Published, tmp_path: Path
) -> None:
    kernsym = vendor.command(tmp_path / "home")
    kernsym.environment["KERNSYM_TOKEN"] = "s3cret"
    with shared_server(kernsym) as url:
        done = kernsym("--server", url, "crash", vendor.world.vmcore, text=COMMANDS)
    assert_everything_is_there(done.stdout)


@on(SLES15)
def test_a_build_id_alone_leads_to_both_halves(vendor: Published, tmp_path: Path) -> None:
    """The lists of files of the repositories tell which package has it."""
    build_id = read_facts(vendor.world.vmcore).fingerprint.build_id
    with shared_server(vendor.command(tmp_path / "home")) as url:
        files = [
            requests.get(f"{url}/buildid/{build_id}/{kind}", timeout=60).content
            for kind in ("debuginfo", "executable")
        ]
    assert all(file.startswith(b"\x7fELF") for file in files)
    assert [b".debug_info\0" in file for file in files] == [True, False]


@on(RHEL8, SLES15)
def test_the_command_finds_a_kernel_by_its_build_id_alone(
    vendor: Published, tmp_path: Path
) -> None:
    build_id = read_facts(vendor.world.vmcore).fingerprint.build_id or ""
    kernsym = vendor.command(tmp_path / "home")
    vmlinux = kernsym("fetch", build_id).stdout
    assert kernsym("fetch", vendor.world.vmcore).stdout == vmlinux
