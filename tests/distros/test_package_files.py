"""The kernel that the file name of a package of Ubuntu's or SUSE's tells."""

from __future__ import annotations

import pytest

from kernsym.distros import catalog


@pytest.mark.parametrize(
    ("file", "key"),
    [
        (
            "linux-image-unsigned-5.15.0-91-generic-dbgsym_5.15.0-91.101~20.04.1_amd64.ddeb",
            "ubuntu/x86_64/5.15.0-91-generic/5.15.0-91.101~20.04.1",
        ),
        (
            "linux-image-5.4.0-80-generic-lpae_5.4.0-80.90_armhf.deb",
            "ubuntu/armv7l/5.4.0-80-generic-lpae/5.4.0-80.90",
        ),
        (
            "linux-image-debug-2.6.24-16-server_2.6.24-16.30_i386.ddeb",
            "ubuntu/i686/2.6.24-16-server/2.6.24-16.30",
        ),
        (
            "linux-modules-extra-6.8.0-63-generic_6.8.0-63.66_arm64.deb",
            "ubuntu/aarch64/6.8.0-63-generic/6.8.0-63.66",
        ),
        ("linux-image-5.15.0-91-generic_5.15.0-90.101_amd64.deb", None),
        ("linux-image-5.15.0-91-generic_5.15.0-91.101+lp7_amd64.deb", None),
        ("linux-image-5.10.0-21-amd64-dbg_5.10.162-1_amd64.deb", None),
        ("linux-source-5.15.0_5.15.0-91.101_all.deb", None),
        (
            "kernel-default-debuginfo-3.0.101-0.15.1.x86_64.rpm",
            "sles/x86_64/3.0.101-0.15-default/3.0.101-0.15",
        ),
        ("kernel-default-base-3.0.101-63.1.ppc64", "sles/ppc64/3.0.101-63-default/3.0.101-63"),
        (
            "kernel-bigsmp-2.6.16.60-0.42.7.i586.rpm",
            "sles/i686/2.6.16.60-0.42.7-bigsmp/2.6.16.60-0.42.7",
        ),
        (
            "kernel-default-4.12.14-lp151.28.40.1.x86_64.rpm",
            "opensuse/x86_64/4.12.14-lp151.28.40-default/4.12.14-lp151.28.40",
        ),
        (
            "kernel-rt_debug-debuginfo-5.14.21-150500.55.52.1.x86_64.rpm",
            "sles/x86_64/5.14.21-150500.55.52-rt_debug/5.14.21-150500.55.52",
        ),
        ("kernel-rt-debuginfo-4.18.0-353.rt7.138.el8.x86_64.rpm", None),
        ("kernel-debug-debuginfo-5.14.0-427.13.1.el9_4.x86_64.rpm", None),
        ("kernel-source-3.0.101-0.15.1.src.rpm", None),
        ("kernel-default-5.6.6-212.1.x86_64.rpm", None),
    ],
)
def test_the_kernel_of_a_package(file: str, key: str | None) -> None:
    asked = [catalog()[name].named for name in ("ubuntu", "sles")]
    found = [kernel.key for named in asked if named and (kernel := named(file))]
    assert found == ([key] if key else [])
