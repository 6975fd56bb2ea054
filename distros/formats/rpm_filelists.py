"""The kernels' packages in a repository's list of files, with their `.build-id` names.

The `kernel-debuginfo` of every distribution but Debian's and Ubuntu's has them, since RHEL 6 and
SLES 11; the `Build-Ids` of an apt repository name no kernels: those are not packed by dh_strip.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass

from kernsym.distros.core.package import Package, Role
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.rpm_lists import FILELISTS, elements

# Packages of several files with one build ID number them: `yyyy.1.debug`.
_BUILD_ID = re.compile(
    r"/usr/lib/debug/\.build-id/(?P<first>[0-9a-f]{2})/(?P<rest>(?:[0-9a-f]{2}){3,31})"
    r"(?:\.[0-9]+)?(?:\.debug)?"
)
_OF_A_KERNEL = re.compile(
    r"/usr/lib/debug/(?:(?:usr/)?lib/modules/(?P<modules>[^/]+)/.+|boot/vmlinux-(?P<boot>.+?)"
    r"(?:\.debug)?)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedKernel:
    """A package with debug files of one kernel.

    `uname`: the release of that kernel, as its paths have it.  `build_ids`: of its debug files,
    lower-case hex; whether a file is vmlinux or a module is not told.
    """

    package: Package
    uname: str
    build_ids: frozenset[str]


def kernels(pieces: Iterator[bytes]) -> Iterator[ListedKernel]:
    """The packages of a list of files that hold a kernel's debug files.  Raises `FormatError`."""
    for element in elements(pieces, f"{FILELISTS}package"):
        files = [file.text or "" for file in element.iterfind(f"{FILELISTS}file")]
        name = next((found for file in files if (found := _OF_A_KERNEL.fullmatch(file))), None)
        if name is None:
            continue
        build_ids = (found for file in files if (found := _BUILD_ID.fullmatch(file)))
        yield ListedKernel(
            package=_package(element),
            uname=name["modules"] or name["boot"],
            build_ids=frozenset(found["first"] + found["rest"] for found in build_ids),
        )


def _package(element: ElementTree.Element) -> Package:
    edition = element.find(f"{FILELISTS}version")
    if edition is None:
        raise FormatError("an entry has no version")
    name, arch = element.get("name", ""), element.get("arch", "")
    version = f"{edition.get('ver', '')}-{edition.get('rel', '')}"
    return Package(
        role=Role.DEBUGINFO, id=f"{name}-{version}.{arch}", name=name, version=version, arch=arch
    )
