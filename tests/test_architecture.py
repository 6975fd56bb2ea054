"""What CONTRIBUTING.md says of the code's shape, checked."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("cache", "client", "distros", "server")
SOURCES = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py"))
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_every_package_of_the_tree_is_in_the_wheel() -> None:
    listing = re.search(
        r"^packages = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M
    )
    assert listing is not None
    tree = {
        "kernsym." + ".".join(path.parent.relative_to(ROOT).parts)
        for path in SOURCES
        if path.relative_to(ROOT).parts[0] in FOLDERS
    }
    assert set(re.findall(r'"([^"]+)"', listing[1])) == tree


@pytest.mark.parametrize("path", SOURCES, ids=name)
def test_a_file_is_small_and_says_what_it_is(path: Path) -> None:
    text = path.read_text()
    module = ast.parse(text)
    assert len(text.splitlines()) <= 300
    assert path.stem not in VAGUE
    assert path.stem == "__init__" or ast.get_docstring(module)
    long = {
        node.name: node.end_lineno - node.lineno + 1
        for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno >= 45
    }
    assert not long
