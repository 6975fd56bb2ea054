"""What a command line asks for: lists that are read, rules that are looked up, as entries."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from kernsym.client.output import Reporter
from kernsym.client.preseed.entries import BadLine, Entry, merge
from kernsym.client.preseed.inventory import read_inventory
from kernsym.client.preseed.lines import Hints
from kernsym.client.texts import read_text
from kernsym.distros import KernsymError, Unusable


def read_lists(
    names: Iterable[str], hints: Hints, reporter: Reporter
) -> tuple[list[Entry], list[BadLine]]:
    """The entries of lists (`-`: standard input; a folder: its files), merged; the bad lines.

    Raises `Unusable` (`list-not-found`, `list-unreadable`).
    """
    entries: list[Entry] = []
    bad: list[BadLine] = []
    for name, text in _texts(names):
        for found in read_inventory(name, text, hints):
            if isinstance(found, Entry) and found.dump:
                found = _of_dump(found, reporter)
            (entries if isinstance(found, Entry) else bad).append(found)  # type: ignore[arg-type]
    return merge(entries), bad


def _texts(names: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in names:
        path = Path(name)
        if name == "-":
            yield "-", sys.stdin.buffer.read().decode(errors="replace")
        elif path.is_dir():
            yield from _texts(str(file) for file in sorted(path.iterdir()) if file.is_file())
        elif not path.exists():
            raise Unusable(
                "list-not-found",
                f"there is no list {name}",
                hint="name a file, a folder of files or - for standard input",
            )
        else:
            yield name, _read(path)


def _read(path: Path) -> str:
    try:
        text = read_text(path)
        if text is None:
            raise Unusable("list-unreadable", f"{path} is empty, or is no text")
        return text
    except OSError as error:
        raise Unusable("list-unreadable", f"{path} cannot be read: {error.strerror}") from error


def _of_dump(entry: Entry, reporter: Reporter) -> Entry | BadLine:
    """The entry with what the dump shows that it names."""
    from kernsym.client.dumps import read_facts

    try:
        facts = read_facts(
            Path(entry.dump).expanduser(),
            lambda done, total: reporter.progress("scan", done, total),
        )
    except KernsymError as error:
        return BadLine(where=entry.where, text=entry.text, reason=error.message)
    finally:
        reporter.end_progress()
    return replace(entry, fingerprint=facts.fingerprint, dump="")
