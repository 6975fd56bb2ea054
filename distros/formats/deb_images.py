"""The kernel that the file name of a package tells: `linux-image-UNAME[-dbg]_VERSION_ARCH.deb`."""

from __future__ import annotations

import re
from collections.abc import Callable

from kernsym.distros.core.distro import Evidence, Recognise
from kernsym.distros.core.kernel import Fingerprint, Kernel

_NAME = re.compile(
    r"linux-image-(?P<uname>[^_]+?)(?:-dbg|-unsigned)?_(?P<version>[^_]+)_[a-z0-9-]+\.deb"
)


def named(recognise: Recognise, word: str) -> Callable[[str], Kernel | None]:
    """`Distro.named` for a distribution that writes `WORD VERSION` into its banners, the version
    that its packages have: the name is judged as a banner with these words would be."""

    def kernel_of(file: str) -> Kernel | None:
        found = _NAME.fullmatch(file)
        if found is None:
            return None
        evidence = Evidence(
            fingerprint=Fingerprint(release=found["uname"]),
            banner=None,
            release=found["uname"],
            version=f"#1 SMP {word} {found['version']} (package)",
            arch=None,
        )
        claim = recognise(evidence)
        return claim.kernel if claim else None

    return kernel_of
