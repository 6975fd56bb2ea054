"""The repositories that subscription-manager writes down: redhat.repo, of Red Hat or a Satellite.

As yum.conf(5) has them.  Those of debug packages are listed on every registered machine, disabled.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from dataclasses import replace

from kernsym.distros.core.distro import Source
from kernsym.distros.core.kernel import Kernel
from kernsym.distros.formats import el_names
from kernsym.distros.formats.rpm_names import basearch

_OF_DEBUG = re.compile(r"/debug/?\Z")
_MAJOR = re.compile(r"/rhel(?:-alt)?(?:/[a-z-]+/)?(?P<major>[0-9]+)/")
_OF_A_MINOR = re.compile(r"/(?:eus|aus|e4s|tus)/")
_LAST_SERVER = 7  # from 8 on the folder is the plain number


def parse(text: str, origin: str) -> tuple[Source, ...]:
    """The repositories of debug packages in a `.repo` file; () for what is none.

    Their URLs hold `$releasever` and `$basearch` still.  `origin` is its path, for people.
    """
    repositories = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        repositories.read_string(text)
    except configparser.Error:
        return ()
    return tuple(_sources(repositories, origin))


def _sources(repositories: configparser.ConfigParser, origin: str) -> Iterator[Source]:
    for section in repositories.values():
        url = section.get("baseurl", "").strip()
        if _OF_DEBUG.search(url):
            keys = re.findall(r"file://(/\S+)", section.get("gpgkey", ""))
            yield Source(
                distro="rhel",
                kind="rpm-md",
                url=url,
                signed_by=tuple(keys),
                signature="if-present",  # repomd.xml is not signed, the packages are
                origin=origin,
            )


def of_kernel(source: Source, kernel: Kernel) -> Source | None:
    """The source with its variables filled in; None when it is one of another major release."""
    major = _MAJOR.search(source.url)
    if "$" in source.url and major and major["major"] != kernel.release:
        return None
    name = el_names.parse(kernel.uname)
    release = kernel.release
    if _OF_A_MINOR.search(source.url) and name and name.minor is not None:
        release = f"{kernel.release}.{name.minor}"
    elif int(kernel.release) <= _LAST_SERVER:
        release = f"{kernel.release}Server"
    url = source.url.replace("$releasever", release).replace("$basearch", basearch(kernel.arch))
    return replace(source, url=url)
