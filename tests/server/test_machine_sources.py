"""What lies on machines: apt's folder, Red Hat's repositories, SUSE's registration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kernsym.distros import Kernel, catalog
from kernsym.distros.formats.yum_repositories import parse
from kernsym.server.mirrors.machine_sources import machine_sources


def test_lists_and_deb822_are_read_in_order(tmp_path: Path) -> None:
    folder = tmp_path / "etc/apt"
    parts, keys = folder / "sources.list.d", folder / "trusted.gpg.d"
    parts.mkdir(parents=True)
    keys.mkdir()
    (folder / "sources.list").write_text("deb http://a.example/debian bookworm main\n")
    (parts / "b.sources").write_text(
        "Types: deb\nURIs: http://b.example\nSuites: sid\nComponents: main\nSigned-By: /b.gpg\n"
    )
    (parts / "a.list").write_text("deb http://c.example sid main\n")
    (parts / "a.list.save").write_text("deb http://old.example sid main\n")
    (keys / "one.asc").write_text("key")
    (keys / "note.txt").write_text("no key")
    found = machine_sources(tmp_path)
    assert [source.url.split("/")[2] for source in found] == ["a.example", "c.example", "b.example"]
    assert found[0].signed_by == (str(keys / "one.asc"),)
    assert found[2].signed_by == ("/b.gpg",)
    assert found[2].origin == str(parts / "b.sources")


def test_a_machine_without_apt_has_none(tmp_path: Path) -> None:
    assert machine_sources(tmp_path / "no-such-folder") == ()


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "etc/apt/sources.list").mkdir(parents=True)
    assert machine_sources(tmp_path) == ()


REDHAT_REPO = """# Certificate-Based Repositories
[rhel-8-for-x86_64-baseos-rpms]
baseurl = https://satellite.example/pulp/content/Org/Lib/content/dist/rhel8/$releasever/x86_64/baseos/os
enabled = 1
[rhel-8-for-x86_64-baseos-debug-rpms]
baseurl = https://satellite.example/pulp/content/Org/Lib/content/dist/rhel8/$releasever/x86_64/baseos/debug
enabled = 0
gpgkey = file:///etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release
sslclientcert = /etc/pki/entitlement/7.pem
[rhel-8-for-x86_64-baseos-eus-debug-rpms]
baseurl = https://satellite.example/pulp/content/Org/Lib/content/eus/rhel8/$releasever/x86_64/baseos/debug
[rhel-7-server-debug-rpms]
baseurl = https://satellite.example/pulp/content/Org/Lib/content/dist/rhel/server/7/$releasever/$basearch/debug
"""


def rhel(release: str, uname: str) -> tuple[str, ...]:
    """The kernel's first sources, where the machine's are not the built-in ones."""
    kernel = Kernel(
        distro="rhel", release=release, arch="x86_64", uname=uname, flavour="",
        version=uname.removesuffix(".x86_64"),
    )  # fmt: skip
    given = parse(REDHAT_REPO, "redhat.repo")
    found = catalog()["rhel"].sources(kernel, given)
    return tuple(source.url for source in found if source.origin == "redhat.repo")


def test_the_repositories_of_a_satellite(tmp_path: Path) -> None:
    path = tmp_path / "etc/yum.repos.d/redhat.repo"
    path.parent.mkdir(parents=True)
    path.write_text(REDHAT_REPO)
    found = machine_sources(tmp_path)
    assert [source.distro for source in found] == ["rhel"] * 3
    assert found[0].signed_by == ("/etc/pki/rpm-gpg/RPM-GPG-KEY-redhat-release",)
    base = "https://satellite.example/pulp/content/Org/Lib/content"
    assert rhel("8", "4.18.0-372.9.1.el8.x86_64") == (
        f"{base}/dist/rhel8/8/x86_64/baseos/debug",
        f"{base}/eus/rhel8/8.6/x86_64/baseos/debug",
    )
    assert rhel("7", "3.10.0-1160.el7.x86_64") == (
        f"{base}/dist/rhel/server/7/7Server/x86_64/debug",
    )
    assert rhel("9", "5.14.0-427.13.1.el9_4.x86_64") == ()
    path.write_text("no section\n")
    assert machine_sources(tmp_path) == ()


def test_the_server_that_a_machine_of_suse_is_registered_with(tmp_path: Path) -> None:
    path = tmp_path / "etc/SUSEConnect"
    path.parent.mkdir()
    path.write_text("---\nurl: https://rmt.example/\ninsecure: false\n")
    (mirror,) = machine_sources(tmp_path)
    assert (mirror.kind, mirror.url) == ("rmt", "https://rmt.example/repo")
    kernel = Kernel(
        distro="sles", release="15-SP5", arch="x86_64", uname="5.14.21-150500.55.52-default",
        flavour="default", version="5.14.21-150500.55.52",
    )  # fmt: skip
    found = catalog()["sles"].sources(kernel, [mirror])
    ours = [source for source in found if source.origin == str(path)]
    assert {source.kind for source in ours} == {"rpm-md"} and tuple(ours) == found[: len(ours)]
    base = "https://rmt.example/repo/SUSE/Updates/SLE-Module-Basesystem/15-SP5/x86_64"
    assert [source.url for source in ours][:2] == [f"{base}/update_debug/", f"{base}/update/"]
    old = replace(kernel, release="11-SP4", uname="3.0.101-63-default", version="3.0.101-63")
    urls = [source.url for source in catalog()["sles"].sources(old, [mirror])]
    assert urls[0].startswith("https://rmt.example/repo/$RCE/SLES11-SP4-Debuginfo-Updates/")
    path.write_text("url: https://scc.suse.com\n")
    assert machine_sources(tmp_path) == ()
