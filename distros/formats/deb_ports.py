"""Debian's names for processors (dpkg-architecture(1)) beside those of `uname -m`."""

from __future__ import annotations

# Debian's port, `uname -m`, and the words that mean them in the names of kernel flavours (from
# debian/config of the linux package, all eras).  Port "*": the word is used by several ports.
_PORTS = (
    ("amd64", "x86_64", "amd64 em64t"),
    ("i386", "i686", "386 486 586 686 k6 k7"),
    ("arm64", "aarch64", "arm64"),
    ("armhf", "armv7l", "armmp mx5 omap vexpress"),
    ("armel", "armv5tel", "iop32x ixp4xx kirkwood marvell mv78xx0 orion5x versatile"),
    ("armel", "armv6l", "rpi"),
    ("ppc64el", "ppc64le", "powerpc64le"),
    ("*", "ppc64", "powerpc64"),
    ("powerpc", "ppc", "powerpc"),
    ("s390x", "s390x", "s390x"),
    ("s390", "s390", "s390"),
    ("riscv64", "riscv64", "riscv64"),
    ("loong64", "loongarch64", "loong64"),
    ("ia64", "ia64", "itanium mckinley"),
    ("alpha", "alpha", "alpha"),
    ("hppa", "parisc", "parisc"),
    ("hppa", "parisc64", "parisc64"),
    ("*", "sparc64", "sparc64"),
    ("*", "mips64", "5kc loongson mips64r2el octeon r5k sb1 sb1a"),
    ("*", "mips", "4kc mips32r2el r4k"),
)
_BY_WORD = {word: (port, machine) for port, machine, words in _PORTS for word in words.split()}
_BY_MACHINE = {machine: port for port, machine, _ in reversed(_PORTS) if port != "*"} | {
    "i386": "i386", "i486": "i386", "i586": "i386", "armv7": "armhf", "arm64": "arm64",
    "amd64": "amd64",
}  # fmt: skip
_MACHINES = {port: machine for machine, port in reversed(_BY_MACHINE.items())} | {
    "amd64": "x86_64", "arm64": "aarch64", "armhf": "armv7l", "i386": "i686",
}  # fmt: skip
_PLAIN = {
    "amd64": "amd64", "i386": "686-pae", "arm64": "arm64", "armhf": "armmp", "s390x": "s390x",
    "ppc64el": "powerpc64le", "riscv64": "riscv64", "loong64": "loong64",
}  # fmt: skip
# What else the name of a flavour of Debian's is made of.
_MODIFIERS = (
    "2e", "2f", "3", "16k", "64k", "bcm91250a", "bcm91480b", "bigmem", "cloud", "cobalt",
    "generic", "ip22", "ip32", "k8", "legacy", "lpae", "malta", "openvz", "p4", "pae", "rt",
    "smp", "tape", "vserver", "xen",
)  # fmt: skip


def port_of_flavour(flavour: str) -> tuple[str, str] | None:
    """Debian's port ("*": not told) and `uname -m` of a kernel's flavour.

    None when it holds a word that no flavour of Debian's has.

    >>> port_of_flavour("rt-686-pae"), port_of_flavour("acme-amd64")
    (('i386', 'i686'), None)
    """
    words = flavour.split("-")
    named = [_BY_WORD[word] for word in words if word in _BY_WORD]
    if len(named) != 1 or any(word not in _BY_WORD and word not in _MODIFIERS for word in words):
        return None
    return named[0]


def plain_flavour(machine: str) -> str:
    """Debian's flavour of a kernel without a speciality, "" of a processor that has none or two.

    >>> plain_flavour("x86_64"), plain_flavour("aarch64"), plain_flavour("i686")
    ('amd64', 'arm64', '686-pae')
    """
    return _PLAIN.get(port_of_machine(machine), "")


def port_of_machine(machine: str | None) -> str:
    """Debian's port for what `uname -m` says; "*" when it is not known.

    >>> port_of_machine("ppc64le"), port_of_machine("i586"), port_of_machine(None)
    ('ppc64el', 'i386', '*')
    """
    return _BY_MACHINE.get(machine or "", "*")


def machine_of_port(port: str) -> str | None:
    """What `uname -m` says on one of Debian's ports; None for a word that is none of them.

    >>> machine_of_port("ppc64el"), machine_of_port("i386"), machine_of_port("all")
    ('ppc64le', 'i686', None)
    """
    return _MACHINES.get(port)
