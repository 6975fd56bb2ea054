"""Which kernel a log is of: the one that booted last in it; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kernsym.distros import Banner, find_banner

# A banner may be wrapped by a terminal or a mail.
_MOST_WRAPPED = 6
# The command line stands within this many lines after the banner; e820 maps come between.
_MOST_BEFORE_COMMAND_LINE = 80
_COMMAND_LINE = re.compile(r"(?i)\b(?:kernel )?command line: ?(?P<options>.*)")
# Given by kexec to a kernel that is to write a dump (kernel's kdump.rst).  `crashkernel=` is no
# mark: it is what the kernel that may crash one day is booted with.
_CAPTURES = re.compile(r"(?<!\S)elfcorehdr=|kdump")
_HOST = re.compile(r"(?P<host>\S+) kernel: ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """A banner in a text.  `line` counts from 1.  `host`: whose line of syslog it is, or "".

    `captures`: it is the kernel that kdump started to write a dump of another.
    """

    line: int
    banner: Banner
    host: str = ""
    captures: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log of one machine: the boot that counts, and each other one with the reason why not."""

    last: Boot
    others: tuple[tuple[Boot, str], ...]


def find_boots(lines: Sequence[str]) -> tuple[Boot, ...]:
    """Every line that holds a banner, with its kernel."""
    found = []
    for number, line in enumerate(lines):
        if "linux" not in line.lower() or find_banner(line) is None:
            continue
        wrapped = [line]
        for follower in lines[number + 1 : number + _MOST_WRAPPED]:
            if "linux version" in follower.lower():
                break
            wrapped.append(follower)
        banner = find_banner("\n".join(wrapped))
        if banner is not None:
            host = _HOST.search(line)
            found.append((number, banner, host["host"] if host else ""))
    ends = [*(number for number, _, _ in found), len(lines)][1:]
    return tuple(
        Boot(
            line=number + 1,
            banner=banner,
            host=host,
            captures=_captures(lines[number + 1 : min(end, number + _MOST_BEFORE_COMMAND_LINE)]),
        )
        for (number, banner, host), end in zip(found, ends, strict=True)
    )


def _captures(following: Sequence[str]) -> bool:
    for line in following:
        found = _COMMAND_LINE.search(line)
        if found:
            return _CAPTURES.search(found["options"]) is not None
    return False


def as_log(lines: Sequence[str], boots: Sequence[Boot]) -> Log | None:
    """The boots as those of one machine's log; None when the text is a list of banners, of which
    every line is a kernel of its own, or a log of several machines.

    A text is a list when at least half of its lines hold a banner.
    """
    filled = sum(1 for line in lines if line.strip())
    if not boots or (len(boots) > 1 and 2 * len(boots) >= filled):
        return None
    if len({boot.host for boot in boots if boot.host}) > 1:
        return None
    # A word of a driver's or a program's about the kernel is no boot if there are whole banners.
    whole = [boot for boot in boots if boot.banner.complete] or list(boots)
    last = ([boot for boot in whole if not boot.captures] or whole)[-1]
    seen = {last.banner.raw}
    others = []
    for boot in reversed(whole):
        if boot.banner.raw not in seen:
            seen.add(boot.banner.raw)
            reason = "a kdump capture kernel" if boot.captures else "it booted earlier"
            others.append((boot, reason))
    return Log(last=last, others=tuple(others))
