"""Knows which kernel a banner is of and which published packages hold its symbols; no I/O.

Every module here is one distribution; `ls` is the list of what is supported.
"""

from kernsym.distros.core.banner import Banner, find_banner
from kernsym.distros.core.catalog import (
    Outcome,
    Verdict,
    catalog,
    distro_of,
    identify,
    identify_package,
)
from kernsym.distros.core.distro import Claim, Distro, Evidence, Fetch, Page, Series, Source
from kernsym.distros.core.errors import (
    CouldNotFindOut,
    KernsymError,
    NotIdentified,
    NotPublished,
    Refused,
    Unusable,
)
from kernsym.distros.core.kernel import Fingerprint, Kernel, normalise_module
from kernsym.distros.core.layout import Layout, MemberKind
from kernsym.distros.core.package import Package, PackageRef, Role

__all__ = [
    "Banner",
    "Claim",
    "CouldNotFindOut",
    "Distro",
    "Evidence",
    "Fetch",
    "Fingerprint",
    "Kernel",
    "KernsymError",
    "Layout",
    "MemberKind",
    "NotIdentified",
    "NotPublished",
    "Outcome",
    "Package",
    "PackageRef",
    "Page",
    "Refused",
    "Role",
    "Series",
    "Source",
    "Unusable",
    "Verdict",
    "catalog",
    "distro_of",
    "find_banner",
    "identify",
    "identify_package",
    "normalise_module",
]
