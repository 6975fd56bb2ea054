"""A list of any kind as entries, its format told by its content; pure.

JSON: one object, a list, or a line each; Ansible's `HOST | SUCCESS => {...}`, files of `--tree`
and of its cache.  Tables: separated by `,` `;` `|` or tabs, or drawn, where the first line names
columns that we know.  Anything else is a line each; see `lines`.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

from kernsym.client.preseed.entries import BadLine, Found
from kernsym.client.preseed.lines import Hints, read_lines
from kernsym.client.preseed.rows import TELLING, read_row, tells_kernel

_OF_ANSIBLE = re.compile(
    r"^(?P<host>\S+) \| (?P<state>[A-Z]+!?)(?: \| rc=\S+)? =>\s*", re.MULTILINE
)
_JSON = re.compile(r"\s*(?:\{|\[\s*[\[\]{\"])")  # a log's `[    0.000000]` is none
_SEPARATORS = "\t|;,"
_RULE = re.compile(r"[+|=\s-]*")
_DEEPEST = 30


def read_inventory(name: str, text: str, hints: Hints) -> Iterator[Found]:
    """The entries and bad lines of a list in their order; `name` is the file's, for people."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if _OF_ANSIBLE.search(text):
        yield from _of_ansible(name, text, hints)
    elif _JSON.match(text):
        yield from _of_json(name, text, hints)
    elif (separator := _separator(text)) is not None:
        yield from _of_table(name, text, separator, hints)
    else:
        yield from read_lines(name, text, hints)


def _of_ansible(name: str, text: str, hints: Hints) -> Iterator[Found]:
    """The hosts of Ansible's own output; one that it could not ask is a bad line."""
    for found in _OF_ANSIBLE.finditer(text):
        where = f"{name}:{text.count(chr(10), 0, found.start()) + 1}"
        if found["state"] not in ("SUCCESS", "CHANGED"):
            reason = f"Ansible could not ask this host: {found['state']}"
            yield BadLine(where=where, text=found["host"], reason=reason)
            continue
        try:
            value, _ = json.JSONDecoder().raw_decode(text, found.end())
        except (ValueError, RecursionError) as error:
            yield BadLine(where=where, text=found["host"], reason=f"its facts are cut: {error}")
            continue
        yield from _of_value(where, value, hints)


def _of_json(name: str, text: str, hints: Hints) -> Iterator[Found]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield from _of_json_line(f"{name}:{number}", line, hints)
        return
    yield from _of_value(name, value, hints)


def _of_json_line(where: str, line: str, hints: Hints) -> Iterator[Found]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        yield BadLine(where=where, text=line[:200], reason=f"not JSON: {error}")
        return
    yield from _of_value(where, value, hints)


def _of_value(where: str, value: object, hints: Hints) -> Iterator[Found]:
    found = list(_rows(value, 0))
    if not found:
        text = json.dumps(value)[:200]
        yield BadLine(where=where, text=text, reason="it holds no facts that tell a kernel")
    for number, row in enumerate(found, 1):
        place = where if len(found) == 1 else f"{where}[{number}]"
        yield read_row(place, row, hints)


def _rows(value: object, depth: int) -> Iterator[list[tuple[str, str]]]:
    """The objects in a tree that are about a kernel, as rows."""
    if depth > _DEEPEST:
        return
    if isinstance(value, dict):
        plain = [(key, _text(one)) for key, one in value.items() if isinstance(one, str | int)]
        if tells_kernel(plain):
            yield plain
            return
        for one in value.values():
            yield from _rows(one, depth + 1)
    elif isinstance(value, list):
        for one in value:
            yield from _rows(one, depth + 1)


def _text(value: str | int) -> str:
    """A value as text that can be written again: JSON may hold half a character."""
    return str(value).encode(errors="replace").decode()


def _separator(text: str) -> str | None:
    """What separates the columns of a table; None when the text is none."""
    lines = (line for line in text.split("\n") if line.strip() and not _RULE.fullmatch(line))
    header = next(lines, "")
    for separator in _SEPARATORS:
        names = _cells(header, separator)
        if TELLING & set(names) and (separator in header or len(names) == 1):
            return separator
    return None


def _cells(line: str, separator: str) -> list[str]:
    """The names of a header's columns, as `rows` has them."""
    cells = next(csv.reader([line], delimiter=separator), [])
    return [cell.strip().strip('"').lower().replace(" ", "_") for cell in cells if cell.strip()]


def _of_table(name: str, text: str, separator: str, hints: Hints) -> Iterator[Found]:
    header: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or _RULE.fullmatch(line):
            continue
        cells = next(csv.reader([line], delimiter=separator), [])
        if not header:
            header = [cell.strip() for cell in cells]
            continue
        where = f"{name}:{number}"
        if len(cells) != len(header):
            reason = f"it has {len(cells)} columns, the first line {len(header)}"
            yield BadLine(where=where, text=line[:200], reason=reason)
            continue
        yield read_row(where, list(zip(header, cells, strict=True)), hints)
