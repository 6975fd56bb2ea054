"""`kernsym identify`: which kernel, which packages; asks nobody."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kernsym.client import exits
from kernsym.client.answers import (
    Answer,
    answer_dump,
    answer_held,
    answer_text,
    answers_of_text,
    as_json,
    dump_warnings,
    lines_of,
)
from kernsym.client.options import global_options, pass_settings
from kernsym.client.output import printable
from kernsym.client.settings import Settings
from kernsym.client.texts import exists, is_package, read_text
from kernsym.distros import Outcome
from kernsym.distros.core.own import NAME

if TYPE_CHECKING:
    from kernsym.cache import Store

_BUILD_ID = r"[0-9a-fA-F]{32,64}"


@click.command()
@click.argument("inputs", nargs=-1, metavar="[DUMP|FILE|WORDS|-]...")
@click.option("--banner", "banners", multiple=True, metavar="TEXT", help="A banner as text.")
@global_options
@pass_settings
def identify(settings: Settings, inputs: tuple[str, ...], banners: tuple[str, ...]) -> int:
    """Say which kernel each input is of, and which packages hold its symbols.

    An input is a dump; a log, of which the kernel that booted last counts; a list of banners, with
    an answer for each; `-`, with an answer for every line of standard input; a banner, a release,
    the file name of a package, or a build ID that the store holds.  Kernels that were added to
    the store (`kernsym add`) are known too.  The exit status is 3 when an
    input, other than `-`, holds a kernel that is not identified for certain.
    """
    if not inputs and not banners:
        raise click.UsageError("name a dump, a text file, - or --banner TEXT")
    status = exits.DONE
    with contextlib.ExitStack() as opened:
        look = _own_builds(settings, opened)
        for text in banners:
            status = max(status, _print(settings, look(answer_text("--banner", text))))
        for name in inputs:
            if name == "-":
                for answer in _lines("-", sys.stdin.buffer.read()):
                    _print(settings, look(answer))
                continue
            for answer in _of_file(settings, Path(name)):
                found = look(answer)
                more = _history(settings, found), _lying(settings, found)
                status = max(status, _print(settings, found, *more))
    return status


def _own_builds(settings: Settings, opened: contextlib.ExitStack) -> Callable[[Answer], Answer]:
    """What looks into the store for kernels that no distribution claims; opened when needed."""
    folder = settings.store_folder()
    stores: list[Store] = []

    def look(answer: Answer) -> Answer:
        if answer.verdict.kernel is not None or not (folder / "kernels" / NAME).is_dir():
            return answer
        from kernsym.cache import Store
        from kernsym.cache.own_builds import with_own_builds

        if not stores:
            stores.append(opened.enter_context(contextlib.closing(Store(folder))))
        verdict = with_own_builds(stores[0], answer.fingerprint, answer.verdict)
        return replace(answer, verdict=verdict)

    return look


def _of_file(settings: Settings, path: Path) -> Iterator[Answer]:
    text = read_text(path)
    if text is not None:
        yield from answers_of_text(str(path), text)
        return
    named = _of_words(settings, str(path))
    if named is not None:
        yield named
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


def _of_words(settings: Settings, what: str) -> Answer | None:
    """The answer for what is no dump or text: a package, of which the name is enough, or words."""
    if is_package(what):
        return answer_text(what, Path(what).name)
    if exists(Path(what)):
        return None
    if re.fullmatch(_BUILD_ID, what):
        from kernsym.cache import Store

        with contextlib.closing(Store(settings.store_folder())) as store:
            held = store.find_build_id(what.lower())
            return answer_held(what, held.bundle) if held else answer_text(what, "")
    answer = answer_text(what, what)
    return answer if answer.verdict.outcome is not Outcome.UNKNOWN else None


def _lines(name: str, content: bytes) -> Iterator[Answer]:
    text = content.decode(errors="replace").removesuffix("\n")
    for number, line in enumerate(text.split("\n") if content else (), 1):
        yield answer_text(f"{name}:{number}", line)


def _history(settings: Settings, answer: Answer) -> tuple[str, ...]:
    """What the catalog of the store knows of where the kernel was published."""
    if answer.verdict.kernel is None or settings.json:
        return ()
    from kernsym.cache.publications import Publications

    folder = settings.store_folder()
    return Publications(folder / "catalog", folder / "locks/catalog").history(answer.verdict.kernel)


def _lying(settings: Settings, answer: Answer) -> tuple[str, ...]:
    """Where the packages lie, if in folders that were scanned."""
    folder = settings.store_folder()
    if settings.json or not answer.packages or not any(folder.glob("index/scanned-*.db")):
        return ()
    from kernsym.cache.scanned import Scanned

    with contextlib.closing(Scanned(folder / "index", folder / "locks/scanned")) as scanned:
        return tuple(
            str(path)
            for root in scanned.roots()
            for name in scanned.names(root)
            if any(fnmatchcase(name.removesuffix(".rpm"), one.id) for one in answer.packages)
            for path in scanned.packages(root, name)
        )


def _print(
    settings: Settings,
    answer: Answer,
    history: tuple[str, ...] = (),
    lying: tuple[str, ...] = (),
) -> int:
    """Write one answer; the exit status that it deserves."""
    if settings.json:
        click.echo(json.dumps(as_json(answer)))
    else:
        for label, text in lines_of(answer):
            click.echo(f"{label:<10} {printable(text)}")
        for path in lying:
            click.echo(f"{'lies at':<10} {printable(path)}")
        for words in history:
            click.echo(f"{'catalog':<10} {printable(words)}")
    identified = answer.verdict.outcome is Outcome.IDENTIFIED
    return exits.DONE if identified else exits.NOT_IDENTIFIED
