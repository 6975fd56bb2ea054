"""`kernsym identify`: which kernel, which packages; asks nobody."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kernsym.client import exits
from kernsym.client.answers import (
    Answer,
    answer_dump,
    answer_text,
    as_json,
    dump_warnings,
    lines_of,
)
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import printable
from kernsym.client.settings import Settings
from kernsym.distros import Outcome

_HEAD = 1 << 16


@click.command()
@click.argument("inputs", nargs=-1, metavar="[DUMP|FILE|-]...")
@click.option("--banner", "banners", multiple=True, metavar="TEXT", help="A banner as text.")
@global_options
@pass_settings
def identify(settings: Settings, inputs: tuple[str, ...], banners: tuple[str, ...]) -> int:
    """Say which kernel each input is of, and which packages hold its symbols.

    A dump gives one answer, a text file one for each line that holds a banner, `-` one for every
    line of standard input.  The exit status is 3 when an input, other than `-`, holds a kernel
    that is not identified for certain.
    """
    if not inputs and not banners:
        raise click.UsageError("name a dump, a text file, - or --banner TEXT")
    status = exits.DONE
    for text in banners:
        status = max(status, _print(settings, answer_text("--banner", text)))
    for name in inputs:
        if name == "-":
            for answer in _lines("-", sys.stdin.buffer.read()):
                _print(settings, answer)
            continue
        for answer in _of_file(settings, Path(name)):
            status = max(status, _print(settings, answer))
    return status


def _of_file(settings: Settings, path: Path) -> Iterator[Answer]:
    if path.is_file() and _is_text(path):
        found = [line for line in _lines(str(path), path.read_bytes()) if line.banner]
        yield from found or [answer_text(str(path), "")]
        return
    from kernsym.client.dumps import read_facts

    reporter = settings.reporter()
    facts = read_facts(path, lambda done, total: reporter.progress("scan", done, total))
    reporter.end_progress()
    for warning in dump_warnings(facts):
        reporter.warning(warning)
    for banner, reason in facts.rejected:
        reporter.detail("rejected", f"{banner}: {reason}")
    yield answer_dump(str(path), facts)


def _is_text(path: Path) -> bool:
    """No dump begins with 64 KiB that hold no NUL; a log does."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return bool(head) and b"\0" not in head


def _lines(name: str, content: bytes) -> Iterator[Answer]:
    text = content.decode(errors="replace").removesuffix("\n")
    for number, line in enumerate(text.split("\n") if content else (), 1):
        yield answer_text(f"{name}:{number}", line)


def _print(settings: Settings, answer: Answer) -> int:
    """Write one answer; the exit status that it deserves."""
    if settings.json:
        click.echo(json.dumps(as_json(answer)))
    else:
        for label, text in lines_of(answer):
            click.echo(f"{label:<10} {printable(text)}")
    identified = answer.verdict.outcome is Outcome.IDENTIFIED
    return exits.DONE if identified else exits.NOT_IDENTIFIED
