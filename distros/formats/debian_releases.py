"""Debian's releases: their code names, and the kernels that they were made with."""

from __future__ import annotations

CODENAMES = {
    "4": "etch", "5": "lenny", "6": "squeeze", "7": "wheezy", "8": "jessie", "9": "stretch",
    "10": "buster", "11": "bullseye", "12": "bookworm", "13": "trixie", "14": "forky",
    "15": "duke",
}  # fmt: skip
ALIASES = ("stable", "oldstable", "oldoldstable", "testing", "unstable", "sid", "experimental")
# The kernel that a release is made with; one between two was on the way to the later release.
LINES = {
    (2, 6, 18): "4", (2, 6, 26): "5", (2, 6, 32): "6", (3, 2): "7", (3, 16): "8", (4, 9): "9",
    (4, 19): "10", (5, 10): "11", (6, 1): "12", (6, 12): "13",
}  # fmt: skip
