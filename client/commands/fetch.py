"""`kernsym fetch`: brings a kernel's symbols here, without starting anything."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from kernsym.client.answers import answers_of_text
from kernsym.client.options import WithPartial, global_options, partial_option, pass_settings
from kernsym.client.settings import Settings
from kernsym.client.texts import exists, is_package, read_text
from kernsym.client.words import fingerprint_of_words
from kernsym.distros import Fingerprint, Unusable, find_banner

Modules = tuple[str, ...] | Callable[[Path], tuple[str, ...]]

_BUILD_ID = re.compile(r"[0-9a-fA-F]{32,64}\Z")


@click.command(cls=WithPartial)
@click.argument("what", metavar="DUMP|LOG|BANNER|UNAME|BUILD-ID|PACKAGE")
@click.option("--modules", metavar="NAME,...", help="These modules; of a dump: the loaded ones.")
@click.option("--all-modules", is_flag=True, help="Every module of the package.")
@click.option("--sources", is_flag=True, help="The source tree too.")
@partial_option
@click.option("--print-urls", is_flag=True, help="Only say what to download by hand.")
@global_options
@pass_settings
def fetch(
    settings: Settings,
    what: str,
    modules: str | None,
    all_modules: bool,
    sources: bool,
    partial: str | None,
    print_urls: bool,
) -> None:
    """Bring the symbols of a kernel into the store, and print the path of vmlinux.

    A banner has to be quoted.  Symbols are accepted only when they are of exactly that kernel.  Of
    a package the name is enough, such as kernel-debuginfo-VERSION-RELEASE.ARCH: then there is no
    dump to compare its vmlinux with, only its own banner.
    """
    from kernsym.cache import FileRole
    from kernsym.cache.messages import Partial
    from kernsym.client.holdings import open_holdings

    fingerprint, wanted = read_wish(settings, what)
    if print_urls:
        from kernsym.client.by_hand import print_downloads

        print_downloads(settings, fingerprint, sources=sources)
        return
    with open_holdings(settings, partial=Partial(partial or "no")) as holdings:
        if modules is not None:
            wanted = tuple(filter(None, modules.split(",")))
        bundle = holdings.symbols(fingerprint, wanted, all_modules=all_modules, original=True)
        if sources:
            bundle = holdings.sources(fingerprint)
        if settings.json:
            click.echo(msgspec.json.encode(bundle).decode())
        else:
            click.echo(holdings.path_of(bundle, FileRole.VMLINUX))


def read_wish(settings: Settings, what: str) -> tuple[Fingerprint, Modules]:
    """The fingerprint of what was named, and the modules that a dump has loaded."""
    if (banner := find_banner(what)) is not None:
        return Fingerprint(banner=banner.raw), ()
    if is_package(what):
        return Fingerprint(package=Path(what).name), ()
    if (text := read_text(Path(what))) is not None:
        return _only_kernel(what, text), ()
    if exists(Path(what)) or "/" in what:
        from kernsym.client.debuggers.opened import open_for_debugging

        dump = open_for_debugging(Path(what), settings.reporter())
        return dump.facts.fingerprint, dump.module_names
    if _BUILD_ID.match(what):
        return Fingerprint(build_id=what.lower()), ()
    return fingerprint_of_words(what) or Fingerprint(release=what), ()


def _only_kernel(name: str, text: str) -> Fingerprint:
    """What the text shows of the one kernel that it is of."""
    answers = answers_of_text(name, text)
    if len(answers) > 1:
        raise Unusable(
            "several-kernels",
            f"{name} names {len(answers)} kernels",
            context=tuple(f"{answer.source}: {answer.banner}" for answer in answers[:10]),
            hint="name one of them: its banner, in quotes",
        )
    return answers[0].fingerprint
