"""What a row of an inventory says of a machine, by the names of its columns; pure.

A row is pairs of name and value: of Ansible's facts (`ansible_kernel`, `ansible_kernel_version`,
`ansible_distribution`, ...), of osquery's tables `kernel_info` and `os_version`, joined or not, and
of ours (`banner`, `kernel`, `distro`, `series`, `arch`, `count`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kernsym.client.preseed.entries import BadLine, Entry, Found
from kernsym.client.preseed.lines import Hints
from kernsym.client.preseed.machine_words import distro_of, machine_of, series_of
from kernsym.distros import Fingerprint, find_banner

Row = Sequence[tuple[str, str]]

# Names that say a thing, the surest first; several may be there, and the values' form decides.
_BANNER = ("banner", "linux_banner", "proc_version")
_RELEASE = (
    "ansible_kernel", "kernel", "kernel_release", "uname_r", "uname", "release", "kernel_version",
    "version",
)  # fmt: skip
_VERSION = ("ansible_kernel_version", "kernel_version", "kernel_build", "version")
_DISTRO = (
    "ansible_distribution", "distribution", "distro", "platform", "os_name", "os", "id", "name",
)  # fmt: skip
_SERIES = (
    "ansible_distribution_version", "distribution_version", "distro_version", "series",
    "os_version", "version_id", "codename", "version",
)  # fmt: skip
_STREAM = ("ansible_distribution_release", "distribution_release")
_ARCH = ("ansible_architecture", "ansible_machine", "architecture", "arch", "machine")
_COUNT = ("count", "hosts", "machines", "number", "n")
_SHAPE_OF_RELEASE = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+[0-9A-Za-z.+~_-]*")
_SHAPE_OF_SERIES = re.compile(r"[0-9]+(?:\.[0-9]+)*(?:-SP[0-9])?(?: .*)?|[a-z]{4,}|Tumbleweed")

# Of these one alone shows that a table is about kernels.
TELLING = frozenset((*_BANNER, *_RELEASE))
_OTHER_MEANINGS = ("release", "kernel_version", "version")


def tells_kernel(row: Row) -> bool:
    """Whether an object is about a machine's kernel, not about something else in a tree."""
    return any(
        name in TELLING and (name not in _OTHER_MEANINGS or _SHAPE_OF_RELEASE.fullmatch(value))
        for name, value in ((name.lower(), value) for name, value in row)
    )


def read_row(where: str, row: Row, hints: Hints) -> Found:
    """What a row asks for."""
    values = [(name.strip().lower().replace(" ", "_"), value.strip()) for name, value in row]
    text = _first(values, _BANNER) or _first(values, _RELEASE, _SHAPE_OF_RELEASE)
    shown = " ".join(value for _, value in values if value)[:200]
    if not text:
        return BadLine(where=where, text=shown, reason="it tells no kernel")
    count = _first(values, _COUNT) or "1"
    if not count.isdecimal() or not int(count):
        return BadLine(where=where, text=shown, reason=f"not a number of machines: {count}")
    release = "" if find_banner(text) else text
    fingerprint, series = _machine(values, release, hints)
    if banner := find_banner(text):
        fingerprint = Fingerprint(banner=banner.raw, distro=fingerprint.distro)
    elif not release or not _SHAPE_OF_RELEASE.fullmatch(release):
        return BadLine(where=where, text=shown, reason="it tells no kernel")
    return Entry(where=where, text=text, fingerprint=fingerprint, count=int(count), series=series)


def _machine(
    values: Iterable[tuple[str, str]], release: str, hints: Hints
) -> tuple[Fingerprint, str]:
    """The fingerprint of a release with what is said of its machine; and the series."""
    values = list(values)
    said = [value for name, value in values if name in _SERIES and value != release]
    series = next((value for value in said if _SHAPE_OF_SERIES.fullmatch(value)), hints.series)
    stream = _first(values, _STREAM)
    words = (_first(values, (name,)) for name in _DISTRO)
    distro = next(filter(None, (distro_of(word, f"{series} {stream}") for word in words)), None)
    distro = distro or distro_of(hints.distro, series)
    number = next((value for name, value in values if name in _VERSION and value[:1] == "#"), None)
    arch = machine_of(_first(values, _ARCH)) or hints.arch or None
    return Fingerprint(
        release=release or None, version=number, machine=arch, distro=distro
    ), series_of(series, distro)


def _first(
    values: Iterable[tuple[str, str]], names: Sequence[str], shape: re.Pattern[str] | None = None
) -> str:
    """The value of the surest of these names that has one, of that shape."""
    values = list(values)
    for name in names:
        for other, value in values:
            if other == name and value and (shape is None or shape.fullmatch(value)):
                return value
    return ""
