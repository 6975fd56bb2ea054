"""Amounts as people write them on a command line: bytes and times."""

from __future__ import annotations

import re

import click

_BYTES = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[kKMGT]?)(?P<binary>i?)[bB]?")
_TIME = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[smhd]?)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def parse_bytes(text: str) -> int:
    """A number of bytes.  Raises `click.BadParameter`.

    >>> parse_bytes("20G"), parse_bytes("1.5 MiB"), parse_bytes("700")
    (20000000000, 1572864, 700)
    """
    found = _BYTES.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text} is no amount of bytes, such as 500M, 20G or 1.5GiB")
    base = 1024 if found["binary"] else 1000
    return int(float(found["number"]) * base ** _POWERS[found["unit"].lower()])


def parse_seconds(text: str) -> float:
    """A time in seconds.  Raises `click.BadParameter`.

    >>> parse_seconds("90"), parse_seconds("45m"), parse_seconds("1.5h")
    (90.0, 2700.0, 5400.0)
    """
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text} is no time, such as 90s, 45m or 2h")
    return float(found["number"]) * _SECONDS[found["unit"]]
