"""Kernels of others are named, and no kernel of ours is taken for theirs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kernsym.distros import Claim, Evidence, Fingerprint, catalog, find_banner, identify
from kernsym.distros.core.neighbours import named


@pytest.mark.parametrize(
    ("title", "release", "rest"),
    [
        ("ELRepo", "4.20.0-1.el7.elrepo.x86_64", "(mockbuild@Build64R7)"),
        ("CloudLinux", "4.18.0-513.11.1.lve.el8.x86_64", "(mockbuild@farm.corp.cloudlinux.com)"),
        ("CloudLinux", "3.10.0-962.3.2.lve1.5.60.el7.x86_64", ""),
        ("OpenVZ or Virtuozzo", "2.6.18-92.1.18.el5.028stab060.2PAE", ""),
        ("OpenVZ or Virtuozzo", "3.10.0-1160.53.1.vz7.185.3", "(mockbuild@builder)"),
        ("Alibaba Cloud Linux", "5.10.84-10.4.al8.x86_64", "(mockbuild@x86-006.build.alibaba.eu6)"),
        ("Anolis OS", "4.19.91-26.an8.x86_64", ""),
        ("openEuler", "4.19.90-2003.4.0.0036.oe1.x86_64", ""),
        ("TencentOS", "5.4.119-19.0006.tl3.x86_64", ""),
        ("Azure Linux", "5.15.131.1-2.cm2", ""),
        ("Mageia", "5.15.6-desktop-2.mga9", ""),
        ("EasyStack", "4.18.0-147.5.1.es8_22.aarch64", "(root@aarch64-kojid)"),
        ("Kylin", "4.19.90-24.4.v2101.ky10.aarch64", ""),
        ("Kylin", "3.10.0-327.el7.x86_64", "(b@h) (gcc version 4.8.5 (NeoKylin 4.8.5-11)) #1 SMP"),
        ("Scientific Linux", "2.6.32-431.el6.x86_64", "(mockbuild@sl6.fnal.gov)"),
        ("CERN", "2.6.32-431.17.1.el6.x86_64", "(mockbuild@lxdist01)"),
        ("XenServer", "2.6.32.43-0.4.1.xs1.6.10.734.170748xen", ""),
        ("WSL", "5.15.90.1-microsoft-standard-WSL2", "(oe-user@oe-host)"),
        ("Zabbly", "6.6.8-zabbly+", "(root@buildd01)"),
        ("TuxCare", "5.14.0-284.1101.el9.tuxcare.7.x86_64", "(root@d04b61d6b6f7)"),
        ("Parrot", "6.1.0-1parrot1-amd64", "(team@parrotsec.org)"),
        ("NVIDIA's Jetson", "5.15.136-tegra", "(buildbrain@mobile-u64-6354-d8000)"),
        ("Armbian", "6.6.72-current-rockchip64", "(armbian@next)"),
        (
            "CloudLinux",
            "4.18.0-477.10.1.el8_8.x86_64",
            "(mockbuild@buildfarm05-new.corp.cloudlinux.com)",
        ),
        ("TencentOS", "5.4.119-19-0009.11", "(root@TENCENT64.site)"),
        ("WSL", "4.4.0-19041-Microsoft", "(Microsoft@Microsoft.com)"),
        ("linuxkit", "5.10.76-linuxkit", ""),
        ("ChromeOS", "3.4.0", "(chrome-bot@build63-m2)"),
        ("Arch Linux", "5.4.1-arch1-1", "(linux@archlinux)"),
        ("the Ubuntu mainline builds", "4.4.179-0404179-generic", "(kernel@tangerine)"),
    ],
)
def test_a_neighbour_is_named_and_unsupported(title: str, release: str, rest: str) -> None:
    line = f"Linux version {release} {rest}"
    assert named(release, find_banner(line)) == title
    verdict = identify(Fingerprint(banner=line))
    assert (verdict.outcome.value, verdict.kernel) == ("unsupported", None)
    assert title in verdict.reason
    assert verdict.evidence[0] in line


def test_a_neighbour_that_is_supported_meanwhile_is_asked_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a distribution is added by one file, without an edit of the list of neighbours."""
    rhel = catalog()["rhel"]
    kernel = identify(
        Fingerprint(banner="Linux version 2.6.18-8.el5 (brewbuilder@ls20.build.redhat.com) ")
    ).kernel
    assert kernel is not None

    def recognise(evidence: Evidence) -> Claim | None:
        known = evidence.release.endswith("oe2203.x86_64")
        return Claim(reason="it is", kernel=replace(kernel, distro="new")) if known else None

    new = replace(rhel, name="new", title="openEuler", recognise=recognise)
    monkeypatch.setattr("kernsym.distros.core.catalog.catalog", lambda: {"rhel": rhel, "new": new})
    found = identify(Fingerprint(release="5.10.0-60.oe2203.x86_64"))
    assert found.kernel is not None and found.kernel.distro == "new"
    other = identify(Fingerprint(release="4.19.90-2003.4.oe1.x86_64"))
    assert other.outcome.value == "unsupported" and "openEuler" in other.reason
