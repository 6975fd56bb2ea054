"""Reads the lists of modules that crash prints: `mod` and `mod -t`."""

from __future__ import annotations

import re

from kernsym.client.debuggers.modules import LoadedModule

# MODULE NAME [BASE] SIZE OBJECT FILE; crash before 8.0 has no column BASE.
_ROW = re.compile(
    r"\s*(?P<struct>[0-9a-f]{8,16})\s+(?P<name>[\w-]+)\s+(?:(?P<base>[0-9a-f]{8,16})\s+)?"
    r"(?P<size>\d+)\s+\S"
)
# Letters; old kernels' bare numbers are left out.  RHEL 6 marks unsigned modules with (U).
_TAINTED = re.compile(r"\s*(?P<name>[\w-]+)\s+(?P<taints>[A-Z]*(?:\(U\))?)\s*")


def parse_module_table(table: str, tainted: str = "") -> tuple[LoadedModule, ...]:
    """The loaded modules from the output of `mod` and of `mod -t`; crash shows no build IDs."""
    taints = {
        row["name"]: row["taints"].replace("(U)", "E")
        for row in map(_TAINTED.fullmatch, tainted.splitlines())
        if row and row["name"] != "NAME"
    }
    return tuple(
        LoadedModule(
            name=row["name"],
            build_id=None,
            address=int(row["base"] or row["struct"], 16),
            size=int(row["size"]),
            taints=taints.get(row["name"], ""),
        )
        for row in map(_ROW.match, table.splitlines())
        if row
    )
