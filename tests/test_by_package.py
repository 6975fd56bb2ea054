"""Fetching by the name of a package: what is believed then, and what is not."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import BANNER, DEBUG_PACKAGE, KERNEL, Kernsym
from tests.upstream import UpstreamServer

NAME = Path(DEBUG_PACKAGE).name


def test_a_package_is_fetched_by_its_name(
    kernsym: Kernsym, mirror: UpstreamServer, tmp_path: Path
) -> None:
    done = kernsym("fetch", NAME)
    assert Path(done.stdout.strip()).is_file() and "no dump was compared" in done.stderr
    assert "no dump was compared" in kernsym("show", KERNEL.uname).stdout
    bundle = json.loads(kernsym("show", "--json", KERNEL.uname).stdout)
    verification = bundle["verification"]
    assert verification["by"] == ["package"] and verification["banner"] == BANNER
    assert verification["build_id"] == bundle["kernel"]["build_id"]
    asked = mirror.hits.total()
    (tmp_path / NAME).write_bytes(b"!<arch>\n")  # its name counts, as it lies there
    for again in (NAME, tmp_path / NAME, BANNER):
        assert kernsym("fetch", again).stdout == done.stdout
    assert mirror.hits.total() == asked
    other = kernsym("fetch", BANNER.replace("#1 SMP", "#2 SMP"), status=6)
    assert "error[vmlinux-mismatch]" in other.stderr, "a dump is compared all the same"


def test_a_name_that_several_distributions_give_is_not_chosen_for_them(kernsym: Kernsym) -> None:
    name = "kernel-debuginfo-4.18.0-553.el8_10.x86_64.rpm"
    done = kernsym("fetch", name, status=3)
    assert "error[ambiguous]" in done.stderr and "Rocky" in done.stderr
    answer = json.loads(kernsym("identify", "--json", name, status=3).stdout)
    assert answer["verdict"] == "ambiguous" and answer["candidates"][0] == "rhel"
