"""The kernel that the file name of a package tells, with every distribution's names."""

from __future__ import annotations

import pytest

from kernsym.distros import Fingerprint, catalog, identify, identify_package


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


ANY_EL = ("rhel", "rocky", "alma", "oracle")


@pytest.mark.parametrize(
    ("file", "distros", "uname"),
    [
        ("kernel-debuginfo-4.18.0-553.el8_10.x86_64.rpm", ANY_EL, "4.18.0-553.el8_10.x86_64"),
        ("kernel-core-5.14.0-427.13.1.el9_4.x86_64", ANY_EL, "5.14.0-427.13.1.el9_4.x86_64"),
        (
            "kernel-debug-debuginfo-5.14.0-427.13.1.el9_4.x86_64.rpm",
            ANY_EL,
            "5.14.0-427.13.1.el9_4.x86_64+debug",
        ),
        (
            "kernel-rt-debug-debuginfo-5.14.0-611.5.1.el9_7.x86_64.rpm",
            ANY_EL,
            "5.14.0-611.5.1.el9_7.x86_64+rt-debug",
        ),
        (
            "kernel-rt-debuginfo-4.18.0-353.rt7.138.el8.x86_64.rpm",
            ("centos-stream", "rhel", "alma"),
            "4.18.0-353.rt7.138.el8.x86_64",
        ),
        (
            "kernel-PAE-debuginfo-2.6.18-164.el5.i686.rpm",
            ("rhel", "centos", "oracle"),
            "2.6.18-164.el5PAE",
        ),
        (
            "kernel-debuginfo-common-x86_64-3.10.0-1160.el7.x86_64.rpm",
            ("rhel", "centos", "oracle"),
            "3.10.0-1160.el7.x86_64",
        ),
        ("kernel-debuginfo-2.6.9-67.EL.x86_64.rpm", ("rhel", "centos"), "2.6.9-67.EL"),
        (
            "kernel-debuginfo-5.14.0-362.18.1.el9_3.0.1.x86_64.rpm",
            ("rocky", "oracle"),
            "5.14.0-362.18.1.el9_3.0.1.x86_64",
        ),
        (
            "kernel-uek-debuginfo-5.4.17-2136.300.7.el8uek.x86_64.rpm",
            ("oracle",),
            "5.4.17-2136.300.7.el8uek.x86_64",
        ),
        ("kernel-debuginfo-6.8.7-300.fc40.x86_64.rpm", ("fedora",), "6.8.7-300.fc40.x86_64"),
        (
            "kernel6.12-debuginfo-6.12.20-23.97.amzn2023.x86_64.rpm",
            ("amazon",),
            "6.12.20-23.97.amzn2023.x86_64",
        ),
        ("linux-esx-debuginfo-6.1.10-1.ph5.x86_64.rpm", ("photon",), "6.1.10-1.ph5-esx"),
        ("kernel-tools-debuginfo-4.18.0-553.el8_10.x86_64.rpm", (), ""),
        ("kernel-lt-debuginfo-5.4.1-1.el7.elrepo.x86_64.rpm", (), ""),
        ("bash-debuginfo-5.1-1.el9.x86_64.rpm", (), ""),
    ],
)
def test_whose_package_it_is(file: str, distros: tuple[str, ...], uname: str) -> None:
    verdict = identify_package(file)
    if verdict is None:
        assert not distros
        return
    assert verdict.candidates == distros
    kernels = [verdict.kernel] if verdict.kernel else verdict.possible
    assert {kernel.uname for kernel in kernels} == {uname}
    assert (verdict.kernel is None) is (len(distros) > 1), "several may not be called one"
    assert identify(Fingerprint(package=file)) == verdict
