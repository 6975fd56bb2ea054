"""The `Linux version ...` line, taken apart (grammar: init/version.c, scripts/mkcompile_h).

    Linux version RELEASE [(MARK)] (USER@HOST) (COMPILER[, LINKER]) #N[WORDS] [SMP] REST [TRAILER]

Parenthesised fields nest, so they are counted, not matched.  Pasted text is straightened first;
a clean line is never changed.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass

_START = re.compile(r"Linux\s*(?:\(\s*)?version\s*(?P<release>[0-9][^\s(<\"'`]*)", re.IGNORECASE)
_BUILD_NUMBER = re.compile(r"#(?P<number>[0-9]+)")
_YEAR = re.compile(r"\b(?:19|20)[0-9]{2}\b")
# CONFIG_VERSION_SIGNATURE: printed by the kernel, absent from utsname.version.
_TRAILER = re.compile(r"\s*\((?P<trailer>Ubuntu [^()]*|Unofficial)\)?\s*\Z")

# What mail, terminals, web pages and forums do to a line.
_ESCAPE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SOFT_BREAK = re.compile(r"=[ \t]*\r?\n")
_QUOTED_BYTE = re.compile(r"=([0-9A-F]{2})")
_HTML_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_BBCODE = re.compile(
    r"\[/?(?:b|i|u|s|code|color|email|font|pre|quote|size|url)(?:=[^\]]*)?\]", re.IGNORECASE
)
_QUOTE_MARKS = re.compile(r"\A[>|\s]*")
# A line that begins like this is the log's next record, not the rest of a wrapped one.
_NEXT_RECORD = re.compile(r"\s*(?:\[\s*[0-9]+\.[0-9]+\]|<[0-9]>|[A-Z][a-z]{2}\s+[0-9]+\s[0-9]+:)")
# What archives of mails put in the place of `user@host`.
_AT_IN_WORDS = re.compile(r"\w+ ?(?:at|[\[(]at[\])]) ?[\w.-]+")
_MOST_LINES = 6
_MOST_GROUPS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """`raw` is the line as it was found, for the comparison byte by byte; the rest is for reading.

    `mark`: what a distribution puts before the builder (`Debian 2.6.32-48squeeze6`).  `builder` is
    `user@host`; `compiler` the text between the next parentheses; `version` what utsname.version
    holds (`#1 SMP ...`); `trailer` the version signature that follows it (`Ubuntu 5.15.0-91.101-
    generic 5.15.131`).  A field that the line does not have, or lost by a cut, is "".
    """

    raw: str
    release: str
    builder: str
    compiler: str
    version: str
    mark: str = ""
    trailer: str = ""

    @property
    def complete(self) -> bool:
        """Whether builder, compiler and version are there, the last with its build number."""
        return bool(self.builder and self.compiler and _BUILD_NUMBER.match(self.version))


def find_banner(text: str) -> Banner | None:
    """The first kernel banner in a line or a few lines of text, whatever stands before it.

    Prefixes of logs are skipped, line wraps and runs of blanks folded, mail's and web pages'
    markup undone, everything from a NUL on dropped.  The format string `Linux version %s (` is
    not a banner.

    >>> find_banner("[    0.000000] Linux version 5.10.0-21-amd64 (a@b) (gcc) #1 SMP x").release
    '5.10.0-21-amd64'
    """
    straight = _straighten(text)
    found = _START.search(straight)
    if found is None:
        return None
    first, *others = straight[found.start() :].split("\0", 1)[0].split("\n")
    banner = _parse(first.rstrip("\r"), found["release"], found.end() - found.start())
    for line in others[: _MOST_LINES - 1]:
        if _is_whole(banner) or not line.strip() or _NEXT_RECORD.match(line):
            break
        longer = f"{banner.raw} {_QUOTE_MARKS.sub('', line).rstrip()}"
        banner = _parse(longer, found["release"], found.end() - found.start())
    return banner


def _straighten(text: str) -> str:
    """`text` without the markup that pasting adds."""
    text = _ESCAPE.sub("", text)
    if _SOFT_BREAK.search(text) or "=3D" in text or "=20" in text:
        text = _QUOTED_BYTE.sub(lambda byte: chr(int(byte[1], 16)), _SOFT_BREAK.sub("", text))
    if "<" in text or "&" in text:
        text = html.unescape(_HTML_TAG.sub("", text))
    return _BBCODE.sub("", text)


def _is_whole(banner: Banner) -> bool:
    """Whether nothing of the banner can be on the next line of a wrapped text."""
    return banner.complete and _YEAR.search(banner.version) is not None


def _parse(line: str, release: str, end: int) -> Banner:
    """The fields of a line that begins with the banner; `end` is where the release ends."""
    rest = " ".join(line[end:].split())
    groups: list[str] = []
    while rest.startswith("(") and len(groups) < _MOST_GROUPS:
        group, rest = _take_parenthesised(rest)
        groups.append(group)
    mark = builder = compiler = ""
    if len(groups) > 1 and "@" in groups[1] and "@" not in groups[0]:
        mark = groups.pop(0)
    if groups and ("@" in groups[0] or " " not in groups[0] or _AT_IN_WORDS.fullmatch(groups[0])):
        builder = groups.pop(0)
    if groups:
        compiler = groups.pop(0)
    number = _BUILD_NUMBER.search(rest)
    version = rest[number.start() :] if number else ""
    trailer = _TRAILER.search(version)
    return Banner(
        raw=line,
        release=release,
        mark=mark,
        builder=builder,
        compiler=compiler,
        version=version[: trailer.start()] if trailer else version,
        trailer=trailer["trailer"] if trailer else "",
    )


def _take_parenthesised(text: str) -> tuple[str, str]:
    """The content of the parentheses that `text` begins with, and what follows them."""
    depth = 0
    for position, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return text[1:position].strip(), text[position + 1 :].lstrip()
    # Unbalanced: the line is cut inside the parentheses, or lost one of them on the way.
    number = _BUILD_NUMBER.search(text)
    end = number.start() if number else len(text)
    return text[1:end].strip(), text[end:]
