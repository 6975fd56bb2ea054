"""A list in words, a kernel a line; pure.

Linux version 6.1.0-18-amd64 (debian-kernel@...) ... #1 SMP ...     a banner, or `uname -a`
312<TAB>Linux version ...                                           counted, also by `uniq -c`
ubuntu jammy 5.15.0-91-generic                                      whose it is, and `uname -r`
5.15.0-91-generic distro=ubuntu series=22.04 arch=x86_64 count=7
kernel-debuginfo-4.18.0-553.el8_10.x86_64                           a package, or its file name
4c5f0c3a...                                                         a build ID
/var/crash/vmcore                                                   the path of a dump
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kernsym.client.preseed.entries import BadLine, Entry, Found
from kernsym.client.preseed.machine_words import distro_of, machine_of, series_of
from kernsym.client.words import fingerprint_of_words
from kernsym.distros import Fingerprint, find_banner, identify_package

_COUNTED = re.compile(r"\s*(?P<count>[0-9]{1,9})\s+(?=\S)")
_WORD = re.compile(r"(?<!\S)(?P<name>distro|series|arch|count)=(?P<value>\S+)")
_BUILD_ID = re.compile(r"[0-9a-fA-F]{32,64}")
_RELEASE = re.compile(r"[0-9]+\.[0-9]+[0-9A-Za-z.+~_-]*")
_PACKAGE_SUFFIXES = (".deb", ".ddeb", ".rpm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hints:
    """What holds for lines that do not say it themselves; as the command line gives it."""

    distro: str = ""
    series: str = ""
    arch: str = ""


def read_lines(name: str, text: str, hints: Hints) -> Iterator[Found]:
    """An entry or a bad line for each line that says something; `#` begins a comment."""
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield read_line(f"{name}:{number}", line, hints)


def read_line(where: str, line: str, hints: Hints) -> Found:
    """What one line asks for."""
    said = {word["name"]: word["value"] for word in _WORD.finditer(line)}
    text = _WORD.sub("", line).strip()
    count = said.get("count", "1")
    if counted := _COUNTED.match(text):
        count, text = counted["count"], text[counted.end() :].strip()
    if not count.isdecimal() or not int(count):
        return BadLine(where=where, text=line, reason=f"not a number of machines: {count}")
    series = said.get("series", "") or hints.series
    word = said.get("distro", "") or hints.distro
    distro = distro_of(word, series) if word else None
    if word and distro is None:
        return BadLine(where=where, text=line, reason=f"no distribution is called {word}")
    blank = Fingerprint(distro=distro, arch=said.get("arch") or hints.arch or None)
    entry = Entry(where=where, text=text, fingerprint=blank, count=int(count), series=series)
    found = _with_kernel(entry, text)
    if found is None:
        reason = "it is no banner, release, package, build ID or path of a dump"
        return BadLine(where=where, text=line, reason=reason)
    return replace(found, series=series_of(found.series, found.fingerprint.distro))


def _with_kernel(entry: Entry, text: str) -> Entry | None:
    """The entry with what its text shows of a kernel; None when it shows none."""
    blank = entry.fingerprint
    if banner := find_banner(text):
        return replace(entry, fingerprint=replace(blank, banner=banner.raw))
    if _BUILD_ID.fullmatch(text):
        return replace(entry, fingerprint=Fingerprint(build_id=text.lower()))
    file = text.rpartition("/")[2]
    if text.endswith(_PACKAGE_SUFFIXES) or (" " not in text and identify_package(file)):
        return replace(entry, fingerprint=Fingerprint(package=file, distro=blank.distro))
    if "/" in text and " #" not in text:
        return replace(entry, fingerprint=Fingerprint(), dump=text)
    words = fingerprint_of_words(text)
    if words is not None:
        shown = replace(words, distro=blank.distro, arch=blank.arch)
        return replace(entry, fingerprint=shown)
    return _of_hints(entry, text.split())


def _of_hints(entry: Entry, words: list[str]) -> Entry | None:
    """An entry of `DISTRO [SERIES] RELEASE [MACHINE]`, in any order."""
    releases = [word for word in words if _RELEASE.fullmatch(word)]
    named = sorted(releases, key=lambda word: "-" in word)[-1:]
    if not named:
        return None
    series, distro, arch = entry.series, entry.fingerprint.distro, entry.fingerprint.arch
    for word in words:
        if word == named[0]:
            continue
        if (machine := machine_of(word)) is not None:
            arch = machine
        elif distro is None and (found := distro_of(word, series)) is not None:
            distro = found
        elif not series:
            series = word
        else:
            return None
    if distro is None:
        return None
    distro = distro_of(distro, series)
    shown = Fingerprint(release=named[0], distro=distro, arch=arch)
    return replace(entry, fingerprint=shown, series=series)
