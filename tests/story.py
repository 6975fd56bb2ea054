"""What a session in crash has to show on a bundled world."""

from __future__ import annotations

import re

from tests.conftest import WORLD

VMCORE = WORLD / "vmcore"
COMMANDS = "bt\nmod\ngdb list panic\ngdb list ovl_fill_super\nquit\n"


def assert_everything_is_there(out: str) -> None:
    """Backtrace of the panic, an object file for every module, lines of kernel and module."""
    assert re.search(r"#\d+ \[[0-9a-f]+\] panic at", out)
    table = out[out.index("OBJECT FILE") :]
    modules = re.findall(r"(?m)^[0-9a-f]{16} +(\w+) +[0-9a-f]{16} +\d+ +(.*)$", table)
    assert len(modules) >= 2
    assert all(re.search(r"\.ko(?:\.debug)? *$", path) for _, path in modules), modules
    assert re.search(r"(?m)^\d+\s+void panic\(const char \*fmt, \.\.\.\)", out)
    assert re.search(r"(?m)^\d+\s+static int ovl_fill_super\(", out)
    assert "more recent than executable" not in out
