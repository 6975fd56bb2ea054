"""The builder of a banner as it comes through archives of mails and pagers: hidden, or cut off."""

from __future__ import annotations

import re

from kernsym.distros.core.banner import Banner

# The at sign, or what is put in its place against collectors of addresses.
AT = re.compile(r"@|_at_| at | ?[\[(]at[\])] ?")
_HIDDEN_HOST = re.compile(r"[xX.*]*")
_FEWEST_LETTERS = 4  # of a user that is shown in part: `debian-ker...@lists.debian.org`


def is_hidden(host: str) -> bool:
    """Whether a host is masked.

    >>> is_hidden("xxxxxxxx"), is_hidden("..."), is_hidden("x86-01.example")
    (True, True, False)
    """
    return _HIDDEN_HOST.fullmatch(host) is not None


def is_cut(banner: Banner) -> bool:
    """Whether the line ends inside the builder; a wrapped line has blanks that were not there."""
    return f"{banner.builder})".replace(" ", "") not in banner.raw.replace(" ", "")


def may_be_user(shown: str, user: str) -> bool:
    """Whether a user, perhaps masked (`mockbu...`), is the one.

    >>> may_be_user("mockbu...", "mockbuild"), may_be_user("mo...", "mockbuild")
    (True, False)
    """
    start = shown.removesuffix("...")
    masked = start != shown and len(start) >= _FEWEST_LETTERS
    return shown == user or (masked and user.startswith(start))


def built_by(banner: Banner, address: str) -> bool:
    """Whether the builder is `USER@HOST`, as far as the banner shows it."""
    builder = banner.builder
    if is_cut(banner):
        start = builder.rstrip(".>…")
        return len(start) >= _FEWEST_LETTERS and address.startswith(start)
    at = AT.search(builder)
    if at is None:
        return False
    user, _, host = address.partition("@")
    shown = builder[at.end() :].replace(" ", "")
    return may_be_user(builder[: at.start()], user) and (shown == host or is_hidden(shown))
