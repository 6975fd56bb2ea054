"""How large and how old a store may become: `[store]` of kernsym.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from kernsym.distros import Unusable

_KEYS = ("path", "max_size", "min_free", "max_age")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_DAYS = {"h": 1 / 24, "d": 1.0, "w": 7.0, "m": 30.0, "y": 365.0}
_DAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """None: no such limit.

    `max_size`: bytes on the disk that the store may take.  `min_free`: bytes that it leaves free on
    its disk.  `max_age`: seconds for which a kernel is kept that nobody uses.
    """

    max_size: int | None = None
    min_free: int | None = None
    max_age: float | None = None

    def __bool__(self) -> bool:
        return self != Limits()

    def overridden_by(self, others: Limits) -> Limits:
        """These, but as far as others are given."""
        given = {name: value for name, value in asdict(others).items() if value is not None}
        return replace(self, **given)


def read_limits(config: Mapping[str, Any]) -> Limits:
    """The limits that a configuration file sets.  Raises `Unusable` (`config-broken`)."""
    table = config.get("store")
    if not isinstance(table, dict):
        return Limits()
    if unknown := table.keys() - set(_KEYS):
        raise Unusable(
            "config-broken",
            f"[store] has the unknown key {min(unknown)}",
            hint=f"known: {', '.join(_KEYS)}",
        )
    size, free, age = (table.get(key) for key in _KEYS[1:])
    return Limits(
        max_size=None if size is None else parse_size(size),
        min_free=None if free is None else parse_size(free),
        max_age=None if age is None else parse_age(age),
    )


def parse_size(text: str | int) -> int:
    """Bytes: a number, or one with a unit, decimal (`k`, `MB`, `G`, `TB`) or binary (`GiB`).

    Raises `Unusable` (`config-broken`).

    >>> parse_size("200G"), parse_size("1.5 GiB")
    (200000000000, 1610612736)
    """
    found = _AMOUNT.fullmatch(str(text).strip())
    unit = found[2].lower().removesuffix("b") if found else "?"
    power = _POWERS.get(unit.removesuffix("i"))
    if found is None or power is None or unit == "i":
        raise Unusable("config-broken", f"not a size: {text}", hint='such as "200G" or "1.5 TiB"')
    base = 1024 if unit.endswith("i") else 1000
    return int(float(found[1]) * base**power)


def parse_age(text: str | int) -> float:
    """Seconds: `90d`, and in the same way hours, weeks, months of 30 days, years; a number alone is
    of days.  Raises `Unusable` (`config-broken`).

    >>> parse_age("2w") / 86400
    14.0
    """
    found = _AMOUNT.fullmatch(str(text).strip())
    days = _DAYS.get(found[2].lower() or "d") if found else None
    if found is None or days is None:
        raise Unusable("config-broken", f"not an age: {text}", hint='such as "90d" or "1y"')
    return float(found[1]) * days * _DAY_SECONDS
