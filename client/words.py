"""What stands for a kernel where there is no banner: `uname -a`, a release, a trace; pure."""

from __future__ import annotations

import re

from kernsym.distros import Fingerprint

_MACHINE = (
    r"x86_64|i[3-6]86|aarch64|arm\w+|ppc(?:64)?(?:le)?|s390x?|riscv64|mips\w*|ia64|loongarch64"
)
_RELEASE = r"[0-9]+\.[0-9]+[0-9A-Za-z.+~_-]*"
# GNU's uname repeats the machine (processor, platform) where it knows them; Debian's greeting ends
# with it.
_UNAME_A = re.compile(
    rf"(?<!\S)Linux \S+ (?P<release>{_RELEASE}) (?P<version>#[0-9].*?) (?P<machine>{_MACHINE})"
    rf"(?: (?:{_MACHINE}|unknown|\S*Intel\S*|\S*AMD\S*))*(?: GNU/Linux|\s*\Z)"
)
# What a kernel prints of itself with every trace (dump_stack_print_info); Debian adds its version,
# which is whole when a blank follows.
_TRACE = re.compile(
    rf"(?:Not tainted|Tainted: [A-Z() ]+) (?P<release>{_RELEASE}) "
    r"(?P<version>#[0-9]\S*(?: PREEMPT\S*)?(?:\s+Debian \S+\s?)?)"
)
# crash's first words on a dump.
_OF_CRASH = re.compile(
    rf"^ *RELEASE: (?P<release>{_RELEASE})\s*\n *VERSION: (?P<version>#[0-9].*?)\s*\n"
    rf" *MACHINE: (?P<machine>{_MACHINE})",
    re.MULTILINE,
)


def fingerprint_of_words(text: str) -> Fingerprint | None:
    """The fingerprint of a line that has no banner: of `uname -a`, or a release alone.

    >>> fingerprint_of_words("Linux h 6.1.0-18-amd64 #1 SMP Debian 6.1.76-1 x86_64 GNU/Linux")
    Fingerprint(banner=None, release='6.1.0-18-amd64', version='#1 SMP Debian 6.1.76-1', \
machine='x86_64', arch=None, build_id=None, vmcoreinfo=None)
    """
    found = _UNAME_A.search(text)
    if found:
        return Fingerprint(
            release=found["release"], version=found["version"], machine=found["machine"]
        )
    if re.fullmatch(_RELEASE, text.strip()):
        return Fingerprint(release=text.strip())
    return None


def fingerprint_of_report(text: str) -> tuple[int, Fingerprint] | None:
    """The line (from 1) and the fingerprint of a text that holds crash's first words on a dump,
    else a kernel's traces: the last of them."""
    for pattern in (_OF_CRASH, _TRACE):
        found = list(pattern.finditer(text))[-1:]
        for last in found:
            words = last.groupdict()
            shown = Fingerprint(
                release=words["release"], version=words["version"], machine=words.get("machine")
            )
            return text.count("\n", 0, last.start()) + 1, shown
    return None
