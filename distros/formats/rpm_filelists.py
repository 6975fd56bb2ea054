"""Which package holds a build ID: `.build-id` names in a repository's list of files."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator

from kernsym.distros.core.distro import Fetch, Source
from kernsym.distros.formats.apt import FormatError
from kernsym.distros.formats.rpm_lists import FILELISTS, elements
from kernsym.distros.formats.rpm_md import open_list, unreadable


def find_build_id(build_id: str, source: Source, fetch: Fetch) -> tuple[str, ...]:
    """The packages (`NAME-VERSION-RELEASE.ARCH`) with debug files of a build ID, as listed.

    () when there is no repository, or no such package.  A name does not tell whether the file is
    vmlinux or a module.  Raises as `rpm_md.locate`.
    """
    opened = open_list("filelists", source, fetch)
    if opened is None:
        return ()
    try:
        return tuple(owners(opened[1], build_id))
    except FormatError as error:
        raise unreadable(source, error) from error


def owners(pieces: Iterator[bytes], build_id: str) -> Iterator[str]:
    """The packages of a list of files that hold a build ID (lower-case hex).

    Packages of several files with one build ID number them: `yyyy.1.debug`.
    """
    name = re.compile(
        rf"/usr/lib/debug/\.build-id/{build_id[:2]}/{build_id[2:]}(\.[0-9]+)?(\.debug)?"
    )
    for element in elements(pieces, f"{FILELISTS}package"):
        if any(name.fullmatch(file.text or "") for file in element.iterfind(f"{FILELISTS}file")):
            yield _identity(element)


def _identity(element: ElementTree.Element) -> str:
    edition = element.find(f"{FILELISTS}version")
    if edition is None:
        raise FormatError("an entry has no version")
    version = f"{edition.get('ver', '')}-{edition.get('rel', '')}"
    return f"{element.get('name', '')}-{version}.{element.get('arch', '')}"
