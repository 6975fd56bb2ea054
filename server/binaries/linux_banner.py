"""The banner of a kernel in the constants of its vmlinux."""

from __future__ import annotations

import re

# linux_banner (init/version.c) ends with a newline; its neighbours are format strings with `%`.
_BANNER = re.compile(rb"(?:^|\0)(Linux version [^%\0\n]*#[0-9][^%\0\n]*)\n(?=\0)")


def banners_in(constants: bytes) -> tuple[str, ...]:
    """Every banner in the content of `.rodata`, each once, without its newline."""
    found = sorted(set(_BANNER.findall(constants)))
    return tuple(banner.decode("utf-8", "replace") for banner in found)
