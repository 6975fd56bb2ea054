"""How inventories spell distributions, their releases and processors; in the catalog's words."""

from __future__ import annotations

import re

from kernsym.distros import catalog

# os-release's ID, Ansible's distribution, osquery's platform and name.
_NAMES = {
    "debian gnu/linux": "debian",
    "redhat": "rhel", "red hat": "rhel", "red hat enterprise linux": "rhel",
    "red hat enterprise linux server": "rhel", "redhatenterpriselinux": "rhel",
    "centos linux": "centos", "centos stream": "centos-stream", "centosstream": "centos-stream",
    "rocky linux": "rocky", "rockylinux": "rocky",
    "almalinux": "alma", "almalinux os": "alma",
    "oracle linux": "oracle", "oracle linux server": "oracle", "oraclelinux": "oracle",
    "ol": "oracle", "oraclelinuxserver": "oracle",
    "fedora linux": "fedora", "amazon linux": "amazon", "amzn": "amazon",
    "suse": "sles", "sles_sap": "sles", "suse linux enterprise server": "sles",
    "sled": "sles", "sle_hpc": "sles",
    "opensuse leap": "opensuse", "opensuse-leap": "opensuse", "leap": "opensuse",
    "opensuse tumbleweed": "opensuse", "opensuse-tumbleweed": "opensuse",
    "photon os": "photon", "vmware photon": "photon", "vmware photon os": "photon",
}  # fmt: skip
MACHINE = re.compile(
    r"x86_64|amd64|i[3-6]86|aarch64|arm64|armv[5-8]\w*|ppc64(?:le|el)?|s390x?|riscv64|loongarch64"
)
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "ppc64el": "ppc64le"}
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")
_FIRST_STREAM = 9  # CentOS Linux ended with 8


def distro_of(word: str, series: str = "") -> str | None:
    """The catalog's name for a distribution; None for a word that means none.

    >>> distro_of("RedHat"), distro_of("CentOS", "9"), distro_of("BeOS")
    ('rhel', 'centos-stream', None)
    """
    name = " ".join(word.lower().split())
    found = _NAMES.get(name, name)
    if found == "centos" and ("stream" in series.lower() or _major(series) >= _FIRST_STREAM):
        found = "centos-stream"
    return found if found in catalog() else None


def series_of(text: str, distro: str | None) -> str:
    """A release as the catalog's distributions read it.

    >>> series_of("22.04.3 LTS (Jammy Jellyfish)", "ubuntu"), series_of("15.5", "sles")
    ('22.04', '15-SP5')
    """
    text = text.strip()
    found = _NUMBERS.match(text)
    if found is None:
        return text.split(" ")[0]
    number = found[0]
    if distro == "ubuntu":
        return ".".join(number.split(".")[:2])
    if distro == "sles" and number == text and "." in number and int(number.split(".")[0]) < 16:
        major, minor = number.split(".")[:2]
        return f"{major}-SP{minor}" if int(minor) else major
    return text.split(" ")[0]


def machine_of(word: str) -> str | None:
    """`uname -m` of a word for a processor; None for another word."""
    if not MACHINE.fullmatch(word):
        return None
    return _MACHINES.get(word, word)


def _major(series: str) -> int:
    found = _NUMBERS.match(series)
    return int(found[0].split(".")[0]) if found else 0
