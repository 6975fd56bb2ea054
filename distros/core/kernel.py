"""Which kernel: what a dump shows (`Fingerprint`) and what that makes it (`Kernel`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_BUILD_ID = re.compile(r"[0-9a-f]{8,64}\Z")

# A word that becomes a folder of the store: no separators, no leading dot, nothing a shell minds.
_SAFE_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+~^:-]*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What a dump shows of its kernel; each field is None where the dump does not show it.

    It is all that leaves the machine that holds the dump, and the body of an HTTP request.

    `banner`: the `Linux version ...` line as the kernel holds it (`linux_banner` in
    init/version.c), without its final newline.  `release`, `version`, `machine`: the utsname
    fields.  `arch`: as `uname -m` spells it, from the dump's headers.  `build_id`: lower-case hex.
    `vmcoreinfo`: the text of the VMCOREINFO note (kernel/crash_core.c), lines `KEY=VALUE`.
    `package`: the name of a package's file, where somebody named that and there is no dump.
    `distro`: whose kernel it is, as somebody said who knows the machine (an inventory), by a name
    of the catalog; it decides between those that the evidence leaves, and never against it.
    """

    banner: str | None = None
    release: str | None = None
    version: str | None = None
    machine: str | None = None
    arch: str | None = None
    build_id: str | None = None
    vmcoreinfo: str | None = None
    package: str | None = None
    distro: str | None = None

    def __post_init__(self) -> None:
        if self.build_id is not None and not _BUILD_ID.match(self.build_id):
            raise ValueError(f"not a build ID in lower-case hex: {self.build_id!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """One build of a kernel by a distribution.

    `uname`: the release as `uname -r` prints it.  `flavour`: the distribution's word for the
    variant ("" for RHEL's plain one).  `version`: of the package, exact.  `arch`: as `uname -m`
    spells it; None when the evidence does not tell.  `release`: of the distribution, "" unknown.

    `commit`: of the source, as far as the kernel's own version shows it (SUSE), in hex.  `twin`:
    "", or the mark of a build that shares all this with another of which a store holds already.
    """

    distro: str
    release: str
    arch: str | None
    uname: str
    flavour: str
    version: str
    build_id: str | None = None
    commit: str | None = None
    twin: str = ""

    def __post_init__(self) -> None:
        for word in (self.distro, self.arch or "_", self.uname, self.version, self.twin or "_"):
            if not _SAFE_WORD.match(word) or len(word) > 120:
                raise ValueError(f"unfit for a kernel's key: {word!r}")

    @property
    def key(self) -> str:
        """The kernel's place in a store and in URLs: `<distro>/<arch>/<uname>/<version>`, behind
        the version `+<mark>` of a twin.

        >>> Kernel(distro="debian", release="12", arch="x86_64", uname="6.1.0-18-amd64",
        ...        flavour="amd64", version="6.1.76-1").key
        'debian/x86_64/6.1.0-18-amd64/6.1.76-1'
        """
        mark = f"+{self.twin}" if self.twin else ""
        return f"{self.distro}/{self.arch or 'unknown'}/{self.uname}/{self.version}{mark}"


def normalise_module(name: str) -> str:
    """The kernel's own spelling of a module's name: `nf-conntrack` and file names use either.

    >>> normalise_module("snd-hda-intel.ko.debug")
    'snd_hda_intel'
    """
    return name.split(".ko", 1)[0].replace("-", "_")
