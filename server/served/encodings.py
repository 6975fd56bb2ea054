"""The Accept-Encoding header (RFC 9110, section 12.5.3): which of our encodings is wanted."""

from __future__ import annotations

ENCODINGS = ("zstd", "gzip")  # where a client likes both the same, the first


def choose(header: str) -> str | None:
    """The encoding to send, or None for none.

    >>> choose("gzip, deflate, br, zstd")
    'zstd'
    >>> choose("zstd;q=0, *;q=0.5")
    'gzip'
    """
    weights = {}
    for part in header.lower().split(","):
        name, *parameters = (word.strip() for word in part.split(";"))
        weights[name] = _weight(parameters)
    anything = weights.get("*", 0.0)
    wanted = {name: weights.get(name, anything) for name in ENCODINGS}
    best = max(wanted, key=lambda name: wanted[name])
    plain = weights.get("identity", 0.0)
    return best if wanted[best] > 0 and wanted[best] >= plain else None


def _weight(parameters: list[str]) -> float:
    """The `q` of an encoding; one that cannot be read is none that could be relied on."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
