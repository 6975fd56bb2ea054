"""The kernels in the lists of files of rpm-md repositories, and their build IDs."""

from __future__ import annotations

import pytest

from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.rpm_filelists import kernels
from tests.distros.rpm_md_writer import Row, build_id_file, filelists

VMLINUX, MODULE, OTHER = "ab" * 20, "cd" * 20, "ef" * 20


@pytest.mark.parametrize(
    ("path", "uname"),
    [
        ("/usr/lib/debug/lib/modules/4.18.0-553.el8_10.x86_64/vmlinux", "4.18.0-553.el8_10.x86_64"),
        ("/usr/lib/debug/usr/lib/modules/6.12.0-160000.9-default/vmlinux.debug",
         "6.12.0-160000.9-default"),
        ("/usr/lib/debug/boot/vmlinux-5.3.18-59.27-default.debug", "5.3.18-59.27-default"),
        ("/usr/lib/debug/lib/modules/6.12.60-14.ph5/vmlinux-6.12.60-14.ph5", "6.12.60-14.ph5"),
        ("/usr/lib/debug/lib/modules/5.14.0-9.el9/kernel/fs/xfs/xfs.ko.debug", "5.14.0-9.el9"),
    ],
)  # fmt: skip
def test_the_release_of_a_kernel_is_in_its_paths(path: str, uname: str) -> None:
    row = Row(name="kernel-debuginfo", files=(build_id_file(VMLINUX), path))
    (found,) = kernels(iter([filelists([row])]))
    assert found.uname == uname and found.build_ids == {VMLINUX}
    assert found.package.id == "kernel-debuginfo-4.18.0-553.el8_10.x86_64"


def test_every_spelling_of_a_build_id_counts_and_other_packages_do_not() -> None:
    rows = (
        Row(name="bash-debuginfo", files=(build_id_file(OTHER), "/usr/lib/debug/bash.debug")),
        Row(
            name="kernel-debuginfo",
            files=(
                "/usr/lib/debug/lib/modules/4.18/vmlinux",
                build_id_file(VMLINUX, ""),
                build_id_file(VMLINUX),
                build_id_file(MODULE, ".1.debug"),
                build_id_file(OTHER, folder="/usr/lib"),
            ),
        ),
        Row(name="kernel-core", files=("/lib/modules/4.18/vmlinuz", build_id_file(OTHER))),
    )
    (found,) = kernels(iter([filelists(rows)]))
    assert found.build_ids == {VMLINUX, MODULE}


def test_a_list_that_ends_too_early() -> None:
    row = Row(name="kernel-debuginfo", files=("/usr/lib/debug/lib/modules/4.18/vmlinux",))
    with pytest.raises(FormatError):
        tuple(kernels(iter([filelists([row])[:-20]])))
