"""The two ways to write apt's sources: one-line (`*.list`) and deb822 (`*.sources`).

See sources.list(5).  What apt would not use (disabled entries, source packages, CD-ROMs) is left
out, and so is a line that apt would refuse.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from kernsym.distros.core.distro import Source
from kernsym.distros.formats.apt import parse_fields

_ONE_LINE = re.compile(r"\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s*)?(?P<rest>\S.*)")
_YES = frozenset({"yes", "true", "with", "on", "enable", "1"})
_NO = frozenset({"no", "false", "without", "off", "disable", "0"})
_ARMOUR = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def parse_one_line(text: str, origin: str) -> tuple[Source, ...]:
    """The sources of a `*.list` file.  `origin` is its path, for people."""
    found: list[Source] = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.split("#", 1)[0])
        if match is None:
            continue
        uri, *words = match["rest"].split()
        options = {}
        for option in (match["options"] or "").split():
            name, _, value = option.partition("=")
            options[name.lower()] = value
        if words:
            found += _sources([uri], words[:1], words[1:], options, origin)
    return tuple(found)


def parse_deb822(text: str, origin: str) -> tuple[Source, ...]:
    """The sources of a `*.sources` file.  `origin` is its path, for people."""
    found: list[Source] = []
    for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
        fields = parse_fields(block)
        if "deb" not in fields.get("types", "").split():
            continue
        if fields.get("enabled", "yes").lower() in _NO:
            continue
        uris, suites, components = (
            fields.get(name, "").split() for name in ("uris", "suites", "components")
        )
        found += _sources(uris, suites, components, fields, origin)
    return tuple(found)


def _sources(
    uris: Iterable[str],
    suites: Iterable[str],
    components: Iterable[str],
    options: dict[str, str],
    origin: str,
) -> list[Source]:
    trusted = options.get("trusted", "").lower() in _YES
    signed_by = _signed_by(options.get("signed-by", ""))
    found = []
    for uri, suite in itertools.product(uris, suites):
        url = _url(uri)
        # A flat repository (its suite ends with a slash) has no components; any other must.
        for component in ("",) if suite.endswith("/") else components:
            if url is not None:
                found.append(
                    Source(
                        distro="*",
                        kind="apt",
                        url=url,
                        suite=suite,
                        component=component,
                        signed_by=signed_by,
                        signature="skip" if trusted else "require",
                        origin=origin,
                    )
                )
    return found


def _url(uri: str) -> str | None:
    """The URI as we ask for it; None for what only apt can read (cdrom:, mirror+file:, ...)."""
    scheme, _, rest = uri.partition(":")
    if scheme in ("http", "https") and rest.startswith("//"):
        return uri
    if scheme in ("file", "copy") and rest.startswith("/"):
        return "file:///" + rest.lstrip("/")
    return None


def _signed_by(value: str) -> tuple[str, ...]:
    """Signed-By as paths, or as one armoured key; fingerprints of keys are not used."""
    if _ARMOUR in value:
        # deb822 writes an empty line as a lone dot.
        return ("\n".join("" if line == "." else line for line in value.split("\n")),)
    words = re.split(r"[,\s]+", value)
    return tuple(word for word in words if word.startswith("/"))
