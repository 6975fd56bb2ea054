"""Build IDs in the lists of files of rpm-md repositories."""

from __future__ import annotations

import pytest

from kernsym.distros import CouldNotFindOut, Source
from kernsym.distros.formats.rpm_filelists import find_build_id
from tests.distros.recorded import Recorded
from tests.distros.rpm_md_writer import PACKERS, Row, repository

URL = "https://mirror.example/debug"
SOURCE = Source(distro="rhel", kind="rpm-md", url=URL)
VMLINUX, MODULE, OTHER = "ab" * 20, "cd" * 20, "ef" * 20


def file_of(build_id: str, ending: str = ".debug", folder: str = "/usr/lib/debug") -> str:
    return f"{folder}/.build-id/{build_id[:2]}/{build_id[2:]}{ending}"


ROWS = (
    Row(name="bash-debuginfo", files=(file_of(OTHER), "/usr/lib/debug/bash.debug")),
    Row(
        name="kernel-debuginfo",
        files=(file_of(VMLINUX, ""), file_of(VMLINUX), file_of(MODULE, ".1.debug")),
    ),
    Row(name="kernel-core", files=(file_of(OTHER, "", "/usr/lib"),)),
)


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize(
    ("build_id", "found"),
    [
        (VMLINUX, ("kernel-debuginfo-4.18.0-553.el8_10.x86_64",)),
        (MODULE, ("kernel-debuginfo-4.18.0-553.el8_10.x86_64",)),
        (OTHER, ("bash-debuginfo-4.18.0-553.el8_10.x86_64",)),
        (VMLINUX[:-2], ()),
        ("01" * 20, ()),
    ],
)
def test_owners(suffix: str, build_id: str, found: tuple[str, ...]) -> None:
    fetch = Recorded(repository(URL, ROWS, suffix=suffix))
    assert find_build_id(build_id, SOURCE, fetch) == found


def test_no_repository_has_none() -> None:
    assert find_build_id(VMLINUX, SOURCE, Recorded({})) == ()


def test_a_broken_list_is_not_a_miss() -> None:
    pages = repository(URL, ROWS)
    broken = pages[f"{URL}/repodata/repomd.xml"].replace(b'"filelists"', b'"other"')
    with pytest.raises(CouldNotFindOut):
        find_build_id(VMLINUX, SOURCE, Recorded(pages | {f"{URL}/repodata/repomd.xml": broken}))
