"""The `Linux version ...` line, taken apart (grammar: init/version.c, scripts/mkcompile_h).

    Linux version RELEASE (USER@HOST) (COMPILER[, LINKER]) #N[WORDS] [SMP] [PREEMPT] REST [TRAILER]

Parenthesised fields nest, so they are counted, not matched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_START = re.compile(r"Linux\s+version\s+(?P<release>[0-9]\S*)")
_BUILD_NUMBER = re.compile(r"#(?P<number>[0-9]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """`raw` is the line as it was found, for the comparison byte by byte; the rest is for reading.

    `builder` is `user@host`; `compiler` the text between the second parentheses; `version` what
    utsname.version holds (`#1 SMP ...`).  A field that a cut line has lost is "".
    """

    raw: str
    release: str
    builder: str
    compiler: str
    version: str

    @property
    def complete(self) -> bool:
        """Whether all four fields are there, the last with its build number."""
        return bool(self.builder and self.compiler and _BUILD_NUMBER.match(self.version))


def find_banner(text: str) -> Banner | None:
    """The first kernel banner in a line or a few lines of text, whatever stands before it.

    Prefixes of logs are skipped, line wraps and runs of blanks folded, everything from a NUL on
    dropped.  The format string `Linux version %s (` is not a banner.

    >>> find_banner("[    0.000000] Linux version 5.10.0-21-amd64 (a@b) (gcc) #1 SMP x").release
    '5.10.0-21-amd64'
    """
    text = text.split("\0", 1)[0]
    found = _START.search(text)
    if found is None:
        return None
    line = " ".join(text[found.start() :].split())
    release = found["release"]
    rest = line[line.index(release) + len(release) :].lstrip()
    builder, rest = _take_parenthesised(rest)
    compiler, rest = _take_parenthesised(rest)
    number = _BUILD_NUMBER.search(rest)
    version = rest[number.start() :].rstrip() if number else ""
    raw = text[found.start() :].rstrip("\r\n")
    return Banner(raw=raw, release=release, builder=builder, compiler=compiler, version=version)


def _take_parenthesised(text: str) -> tuple[str, str]:
    """The content of the parentheses that `text` begins with, and what follows them."""
    text = text.lstrip()
    if not text.startswith("("):
        return "", text
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:position].strip(), text[position + 1 :].lstrip()
    return text[1:].strip(), ""  # the line is cut inside the parentheses
